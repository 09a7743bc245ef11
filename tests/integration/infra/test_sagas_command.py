"""`wundr sagas` on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Any

import pytest

from connectors.postgres.database import Database
from connectors.postgres.migrations import migrate
from connectors.postgres.saga_store import PostgresSagaStore
from connectors.settings import PostgresSettings
from infra.cli import run
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event, EventData, EventFactory
from streams.memory.log import MemoryLog
from streams.memory.schemas import MemoryWriterSchemas
from streams.sagas.course import Course, SagaSteps, Step
from tests.contracts.probe_saga import ProbeSaga, reply, session

pytestmark = pytest.mark.postgres

CATALOG = Catalog.load()


async def take(dsn: str, *events: EventData) -> None:
    settings, codec = PostgresSettings(dsn=dsn), Codec(CATALOG)
    factory = EventFactory(CATALOG, "tests")
    steps = SagaSteps("team", ProbeSaga(), factory)
    await migrate(settings)
    async with Database(settings) as database:
        schemas = MemoryWriterSchemas(MemoryLog(), codec, wait_s=0)
        store = PostgresSagaStore(database, CATALOG, codec, schemas)
        for data in events:
            event = factory.create(data)
            await store.take(steps.address(event), partial(_step, steps, event))


def _step(steps: SagaSteps[int], event: Event[Any], course: Course) -> Step | None:
    return steps.step(course, event)


@pytest.fixture
def installation(fresh_database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Two courses, of which one is over."""
    monkeypatch.setenv("WUNDR_PROVIDER", "external")
    monkeypatch.setenv("WUNDR_KAFKA_BOOTSTRAP", "127.0.0.1:9")
    monkeypatch.setenv("WUNDR_POSTGRES_DSN", fresh_database)
    asyncio.run(take(fresh_database, session("waits"), session("over"), reply("over")))
    return fresh_database


@pytest.mark.usefixtures("installation")
def test_what_is_not_over_is_listed_with_what_it_waits_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["sagas", "list", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    course = json.loads(line)
    assert (course["app"], course["saga"], course["key"]) == ("team", "probe", "waits")
    assert (course["status"], course["steps"]) == ("running", 1)
    assert [it["name"] for it in course["deadlines"]] == ["reply"]
    assert run(["sagas", "list", "probe", "--app", "team", "--over", "--json"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert run(["sagas", "list", "--app", "others"]) == 0
    assert "probe" not in capsys.readouterr().out


@pytest.mark.usefixtures("installation")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["nosuch"],
            "no course of saga 'nosuch' is open; --over shows those that are over, too\n",
        ),
        (["--app", "others"], "no course of any saga of app 'others' is open; "),
        (["nosuch", "--over"], "there is no course of saga 'nosuch'\n"),
    ],
)
def test_where_there_is_no_course_a_sentence_says_so(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["sagas", "list", *words]) == 0
    streams = capsys.readouterr()
    assert streams.out == ""
    assert streams.err.startswith(said)
    assert run(["sagas", "list", *words, "--json"]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("installation")
def test_a_course_is_shown_with_what_it_has_taken_in(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sagas", "show", "probe", "over", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert [it["type"] for it in shown["taken_in"]] == [
        "setup.session.started",
        "setup.step.validate.completed",
    ]
    assert shown["status"] == "completed"
    assert run(["sagas", "show", "probe", "waits"]) == 0
    text = capsys.readouterr().out
    assert "team/probe/waits: running" in text
    assert "waits for reply at " in text


@pytest.mark.usefixtures("installation")
def test_a_course_that_is_not_there_is_a_clear_refusal(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sagas", "show", "probe", "nobody"]) == 1
    assert "The saga 'probe' has no course 'nobody'." in capsys.readouterr().err
