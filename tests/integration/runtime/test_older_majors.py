"""A worker's tables fold events of every major version as the newest one, over a real broker."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.topics import apply, plan
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event
from schemas.headers import event_headers
from schemas.topics import TopicSpec, platform_topics
from streams.kafka.sender import KafkaSender
from streams.projection import State
from streams.records import OutgoingRecord
from streams.runtime.running import WorkerSettings
from streams.runtime.worker import run_app_worker
from streams.settings import KafkaSettings
from tests.integration.runtime.tally import OneTopicApp
from tests.integration.runtime.team import CATALOG, PARTITIONS, Team, send_all
from tests.unit.schemas.order_majors import (
    PLACED,
    VERSIONS,
    newest,
    order_majors,
    placed,
    project_of,
    turnover,
)

pytestmark = pytest.mark.kafka

ORDERS = order_majors()


def folded(events: list[Event[Any]]) -> dict[str, State]:
    sums: dict[str, State] = {}
    for event in events:
        sums[project_of(event)] = turnover(sums.get(project_of(event), {}), event)
    return sums


async def test_a_table_of_events_of_every_major_equals_that_of_the_newest_alone(
    kafka: KafkaSettings,
    unique: str,
    tmp_path: Path,
    sender: KafkaSender,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app = OneTopicApp(unique)
    # Keyed by another key than the records: what was upcast goes through a repartition topic, too.
    app.projection("turnover", on=(PLACED,), initial=dict, key=project_of)(turnover)
    specs = [
        *platform_topics(CATALOG, PARTITIONS),
        *app.topic_specs(PARTITIONS),
        TopicSpec(name=app.topic, partitions=PARTITIONS, config={}, why="a test"),
    ]
    await asyncio.to_thread(lambda: apply(kafka.bootstrap, plan(kafka.bootstrap, specs)))
    events = [placed(ORDERS, number, VERSIONS[number % 4]) for number in range(80)]
    await send_all(sender, [record_of(app.topic, event) for event in events])
    expected = folded([newest(ORDERS, event) for event in events])

    monkeypatch.setattr(Catalog, "load", lambda: ORDERS)
    team = Team(kafka=kafka, name=unique, folder=tmp_path, sender=sender)
    (tmp_path / "one").mkdir()
    settings = WorkerSettings(
        kafka=kafka, data_dir=tmp_path, run_file=tmp_path / "one" / "run.json"
    )
    stop = asyncio.Event()
    running = asyncio.create_task(run_app_worker(app, settings, stop))
    assert await shown(team, expected) == expected
    stop.set()
    await running
    assert await team.dead_letters() == []


def record_of(topic: str, event: Event[Any]) -> OutgoingRecord:
    """The record of an event in the version that it was written in."""
    value, headers = Codec(ORDERS).encode(event), event_headers(event)
    return OutgoingRecord(topic=topic, key=event.key.encode(), value=value, headers=headers)


async def shown(team: Team, expected: Mapping[str, State]) -> Mapping[str, State]:
    """The table once it is what is expected, or as it is when that takes too long."""
    found: Mapping[str, State] = {}
    try:
        async with asyncio.timeout(40):
            while found != expected:
                await asyncio.sleep(0.1)
                found = await team.table("one", "turnover")
    except TimeoutError:
        pass
    return found
