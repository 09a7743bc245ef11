"""The tree shows causes above effects, and the mapping says the same to machines."""

from __future__ import annotations

import json

from rich.console import Console

from infra.event_tree import event_tree, since, timeline_mapping
from schemas.catalog import Catalog
from schemas.event import EventFactory
from schemas.events.plugin import PluginMetricRecorded
from streams.timeline import Evidence, timeline
from tests.unit.infra.courses import FAILED, STARTED, VALIDATE, full_course


def shown() -> str:
    console = Console(width=200, color_system=None)
    with console.capture() as captured:
        console.print(event_tree(full_course()))
    return captured.get()


def test_an_effect_stands_below_its_cause_and_further_in() -> None:
    lines = shown().splitlines()
    places = [
        next((at, line.index(it.type)) for at, line in enumerate(lines) if it.type in line)
        for it in (STARTED, VALIDATE, FAILED)
    ]
    assert places == sorted(places)
    assert len({indent for _, indent in places}) == len(places)


def test_what_has_no_time_is_shown_without_one() -> None:
    line = next(it for it in shown().splitlines() if "pending" in it)
    assert "analysis.main/hourly-counts" in line
    assert " s " not in line


def test_times_are_relative_to_the_first_event() -> None:
    assert since(1_040, 1_000) == "+0.040 s"
    assert since(None, 1_000) == ""
    assert "+5.100 s  dead letter" in shown()


def test_the_mapping_is_json_with_depths_and_times() -> None:
    content = json.loads(json.dumps(timeline_mapping(full_course())))
    assert [it["depth"] for it in content["events"]] == [0, 1, 2]
    assert content["events"][1]["emittedBy"] == "analysis/begin"
    dead = [it for it in content["events"][1]["sightings"] if it["stage"] == "dead letter"]
    assert [it["sinceMs"] for it in dead] == [5_100]
    assert content["unsearched"]


def test_a_chain_of_thousands_of_events_is_shown_and_its_flattened_end_is_told() -> None:
    create = EventFactory(Catalog.load(), source="tests").create
    data = PluginMetricRecorded(plugin="p", metric="m", value=1.0, project_id=None)
    chain = [create(data, id=f"e{at}", causation_id=f"e{at - 1}") for at in range(3_000)]
    console = Console(width=200, color_system=None)
    with console.capture() as captured:
        console.print(event_tree(timeline(chain, "e7", Evidence())))
    lines = captured.get().splitlines()
    assert "more than 12 causes deep" in lines[0]
    assert [line.split()[-1] for line in lines[1:]] == [event.id for event in chain]
