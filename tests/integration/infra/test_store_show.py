"""`wundr store show` on a real PostgreSQL."""

import asyncio
import json
from typing import Any

import pytest

from connectors.event_row import event_row
from connectors.postgres.database import Database
from connectors.postgres.migrations import migrate
from connectors.postgres.sink_target import PostgresSinkTarget
from connectors.settings import PostgresSettings
from connectors.sink_target import Batch, PlacedRow, Position
from infra.cli import run
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event, EventFactory
from schemas.events.domain import AnalysisCompleted, AnalysisStarted

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

CATALOG = Catalog.load()
STARTED = AnalysisStarted(analysis_id="a-1", project_id="p", package="json", files=1, root="/")
COMPLETED = AnalysisCompleted(
    analysis_id="a-1",
    project_id="p",
    package="json",
    files=1,
    failed=0,
    functions=2,
    classes=3,
    lines=4,
    duration_ms=5,
)


def versions() -> list[Event[Any]]:
    factory = EventFactory(CATALOG, "tests")
    found = []
    for version, data in enumerate((STARTED, COMPLETED), 1):
        event: Event[Any] = factory.create(data)
        assert event.aggregate is not None
        aggregate = event.aggregate._replace(version=version)
        found.append(Event(event.envelope._replace(aggregate=aggregate), event.data))
    return found


async def store(dsn: str, events: list[Event[Any]]) -> None:
    settings, codec = PostgresSettings(dsn=dsn), Codec(CATALOG)
    await migrate(settings)
    async with Database(settings) as database:
        target = PostgresSinkTarget(database)
        claims = await target.claim("kafka-1", [0])
        rows = [
            PlacedRow(
                position=Position(0, offset),
                row=event_row(event, codec.encode(event), with_json=True),
            )
            for offset, event in enumerate(events)
        ]
        await target.store("kafka-1", Batch(rows=rows, claims=claims, next={0: len(rows)}))


@pytest.fixture
def stored(
    fresh_database: str, kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> list[Event[Any]]:
    events = versions()
    asyncio.run(store(fresh_database, events))
    monkeypatch.setenv("WUNDR_PROVIDER", "external")
    monkeypatch.setenv("WUNDR_KAFKA_BOOTSTRAP", kafka_bootstrap)
    monkeypatch.setenv("WUNDR_POSTGRES_DSN", fresh_database)
    return events


@pytest.mark.parametrize(
    "model", ["examples.analysis.decider:ANALYSIS", "examples.analysis.aggregate:Analysis"]
)
def test_an_aggregate_is_shown_as_it_is_and_as_it_was(
    stored: list[Event[Any]], model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["store", "show", "Analysis", "a-1", "--model", model, "--json"]
    assert run(asked) == 0
    now = json.loads(capsys.readouterr().out)
    assert now["aggregate"] == {"type": "Analysis", "id": "a-1", "version": 2}
    assert [event["id"] for event in now["events"]] == [event.id for event in stored]
    assert now["state"]["status"] == "completed"
    assert run([*asked, "--at", "1"]) == 0
    before = json.loads(capsys.readouterr().out)
    assert before["aggregate"]["version"] == 1
    assert before["state"]["status"] == "running"
    assert before["state"]["results"] is None if "results" in before["state"] else True


def test_events_are_listed_without_a_model(
    stored: list[Event[Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["store", "show", "Analysis", "a-1"]) == 0
    shown = capsys.readouterr().out
    assert "analysis.started" in shown
    assert "analysis.completed" in shown


@pytest.mark.usefixtures("stored")
def test_an_aggregate_that_was_not_there_then_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["store", "show", "Analysis", "a-1", "--at", "2020-01-01"]) == 1
    assert "There is no event of Analysis/a-1" in capsys.readouterr().err
