from __future__ import annotations

from itertools import islice, pairwise
from pathlib import Path

from benchmarks.launch import ROOT
from benchmarks.samples import (
    NUMBER_FIELDS,
    PRODUCERS,
    Producers,
    file_events,
    mixed_events,
    number_of,
    published_events,
    schema_files,
)
from schemas.catalog import Catalog
from schemas.codec import Codec

CATALOG = Catalog.load()


def test_every_run_has_the_same_events_byte_for_byte() -> None:
    codec = Codec(CATALOG)
    first, again = (
        [codec.encode(event) for event in islice(file_events(Producers(CATALOG), 50), 200)]
        for _ in range(2)
    )
    assert first == again


def test_no_event_is_a_repeat_of_another() -> None:
    events = list(islice(file_events(Producers(CATALOG), 50), 1_000))
    assert len({event.id for event in events}) == 1_000


def test_events_are_spread_over_as_many_aggregates_as_asked() -> None:
    events = islice(file_events(Producers(CATALOG), 50), 2_000)
    assert len({event.key for event in events}) == 50


def test_every_type_of_the_samples_has_a_number_that_handlers_read() -> None:
    producers = Producers(CATALOG)
    events = [*mixed_events(producers, 20), *published_events(producers, 3)]
    assert {event.type for event in events} == set(NUMBER_FIELDS)
    assert all(number_of(event.type, event.payload) >= 0 for event in events)


def test_the_schema_of_every_id_stands_where_programs_look_for_it() -> None:
    for schema_id, file in schema_files(CATALOG).items():
        text = Path(ROOT, file).read_text()
        assert CATALOG.schema_ids()[int(schema_id)].type in text


def test_producers_take_turns_in_short_runs() -> None:
    events = list(islice(file_events(Producers(CATALOG), 50), 4_000))
    turns = sum(a.source != b.source for a, b in pairwise(events))
    assert len({event.source for event in events}) == PRODUCERS
    assert 4 < len(events) / turns < 16
    assert {event.correlation_id for event in events} > {"run-0", "run-1"}
