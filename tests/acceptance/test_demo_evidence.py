"""The sums of a run notice what is missing: one row, one table increment, one frame."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from examples.analysis.app import app
from examples.analysis.demo.plan import WORKERS
from gateway.client import BrowserEvent, EventHandler, GatewayClient
from infra.stack.endpoints import Endpoints
from schemas.topics import changelog_topic
from streams.app import MAIN
from streams.kafka.reader import KafkaReader
from streams.kafka.sender import KafkaSender
from streams.projection import Entry
from streams.records import OutgoingRecord, RawRecord
from streams.settings import KafkaSettings
from tests.acceptance.driven_demo import DrivenDemo, driven_demo

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(60)]

TOTALS = changelog_topic(app.name, MAIN, "project-totals")


class LossyClient(GatewayClient):
    """A client that shows all events but one."""

    def subscribe(self, pattern: str, handler: EventHandler) -> None:
        lost: list[BrowserEvent] = []

        def show(event: BrowserEvent) -> None:
            if not lost and event["type"] == "analysis.file.processed":
                lost.append(event)
            else:
                handler(event)

        super().subscribe(pattern, show)


def remove_row(endpoints: Endpoints, run_id: str) -> None:
    """As the owner of the table: the trigger lets nobody else."""
    with psycopg.connect(endpoints.postgres_dsn) as connection:
        connection.execute("ALTER TABLE events DISABLE TRIGGER events_append_only")
        removed = connection.execute(
            "DELETE FROM events WHERE event_id ="
            " (SELECT min(event_id) FROM events WHERE correlation_id = %s)",
            (run_id,),
        )
        assert removed.rowcount == 1
        connection.execute("ALTER TABLE events ENABLE TRIGGER events_append_only")


async def remove_increment(demo: DrivenDemo) -> None:
    """One file less in a project's totals, in the changelog; then its owner recovers from there."""
    latest = await latest_entry(demo.settings.kafka, demo.settings.plans[0].project_id)
    assert latest.value is not None
    entry = Entry.decode(latest.value)
    entry.state["files"] -= 1
    sender = KafkaSender(demo.settings.kafka)
    await sender.start()
    tampered = OutgoingRecord(
        topic=TOTALS, key=latest.key, value=entry.encode(), partition=latest.partition
    )
    await (await sender.send(tampered))
    await sender.close()
    await demo.restart(*WORKERS)


async def latest_entry(kafka: KafkaSettings, key: str) -> RawRecord:
    reader = KafkaReader(kafka, (TOTALS,))
    await reader.start()
    found: list[RawRecord] = []
    ends = await reader.end()
    at = dict(await reader.beginning())
    while any(at[source] < end for source, end in ends.items()):
        for source, records in (await reader.read()).items():
            at[source] = records[-1].offset + 1
            found += [record for record in records if record.key == key.encode()]
    await reader.close()
    return found[-1]


async def test_one_missing_row_increment_or_frame_is_a_loss(
    demo_folder: Path, source: Path
) -> None:
    async with driven_demo(demo_folder, source, LossyClient()) as demo:
        summary = await demo.run()
        assert (summary.lost, summary.duplicates) == (1, 0)
        assert summary.delivered == summary.expected_delivered - 1
        assert not summary.is_whole

        remove_row(demo.settings.endpoints, demo.settings.folders.run_id)
        without_row = await demo.demonstration.reckon()
        assert (without_row.lost, without_row.duplicates) == (2, 0)
        assert without_row.stored == without_row.acknowledged - 1

        await remove_increment(demo)
        without_increment = await demo.demonstration.reckon()
        assert (without_increment.lost, without_increment.duplicates) == (3, 0)


async def test_the_next_run_is_whole_again(demo_folder: Path, source: Path) -> None:
    async with driven_demo(demo_folder, source) as demo:
        summary = await demo.run()
    assert summary.is_whole
    assert (summary.lost, summary.duplicates) == (0, 0)
