"""Letters of a type that this installation no longer has are listed, shown, and say why."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any

import pytest
from typer.testing import CliRunner

from infra import letters as letters_module
from infra.commands import dlq
from infra.letters import LetterDesk, LetterPlan
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.errors import UnknownEventType
from schemas.event import EventFactory
from schemas.framing import schema_id_of
from schemas.topics import dead_letter_topic, retry_topic
from streams.memory.log import MemoryLog, MemorySender
from streams.memory.reader import MemoryReader
from streams.memory.schemas import MemoryWriterSchemas
from streams.parking.errors import LetterWithoutEvent
from streams.parking.letter import Letter, LetterState
from streams.parking.letters import Letters, LettersReading
from streams.settings import KafkaSettings
from tests.unit.schemas.personal_orders import order_catalog
from tests.unit.streams.failed_letters import APP, letter, record, write

CATALOG = Catalog.load()
PLAN = LetterPlan(kafka=KafkaSettings(bootstrap="nowhere:1"), catalog=order_catalog(), keys=None)
"""Of an installation that has one type, and no other."""

DATA = {"analysisId": "a", "projectId": "p", "package": "json", "files": 3, "root": "lib"}
TYPE = "analysis.started"


def failed_letter() -> Letter:
    """A dead letter with the event of a type that PLAN does not have."""
    event = EventFactory(CATALOG, "tests").create_from_mapping(TYPE, DATA, aggregate_id="a")
    return letter(1, record=record(1, event_type=TYPE, value=Codec(CATALOG).encode(event)))


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> MemoryLog:
    """Holds a letter and one behind it; all that `wundr dlq` reads is here."""
    log = MemoryLog()
    write(log, failed_letter(), letter(2, LetterState.BEHIND))

    @asynccontextmanager
    async def open_letters(
        _kafka: KafkaSettings, _app: str | None = None, whole: Collection[str] = ()
    ) -> AsyncIterator[LettersReading]:
        topics = (dead_letter_topic(APP), retry_topic(APP))
        reading = LettersReading(MemoryReader(log, topics), Letters(whole))
        await reading.start()
        await reading.catch_up()
        yield reading

    def schemas(_kafka: KafkaSettings, _sender: object, codec: Codec) -> MemoryWriterSchemas:
        return MemoryWriterSchemas(log, codec, wait_s=0)

    monkeypatch.setattr(dlq, "letter_plan", lambda: PLAN)
    monkeypatch.setattr(dlq, "open_letters", open_letters)
    monkeypatch.setattr(letters_module, "KafkaSender", lambda _: MemorySender(log))
    monkeypatch.setattr(letters_module, "KafkaWriterSchemas", schemas)
    return log


async def announce(log: MemoryLog) -> None:
    """The topic of schemas has that of the letter."""
    writer = MemoryWriterSchemas(log, Codec(CATALOG))
    version = CATALOG.get(TYPE).latest
    await writer.announce(CATALOG.writer_schema(TYPE, version))


def run(*arguments: str) -> list[Any]:
    """What `wundr dlq` prints, line by line."""
    result = CliRunner().invoke(dlq.app, [*arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_letter_whose_schema_is_gone_is_listed_as_any_other(log: MemoryLog) -> None:
    (row,) = run("list", APP)
    assert (row["id"], row["type"], row["behind"]) == (failed_letter().id, TYPE, 1)
    assert run("list", APP, "--group-by", "type") == [
        {"type": TYPE, "parked": 1, "waiting": 0, "behind": 1, "since": row["since"]}
    ]


def test_a_letter_whose_schema_is_gone_is_shown_with_its_bytes_and_the_reason(
    log: MemoryLog,
) -> None:
    failed = failed_letter()
    value = failed.record.value or b""
    (shown,) = run("show", failed.id)
    schema_id = schema_id_of(value)
    assert shown["undecodable"] == (
        f"schemas.unknown_schema_id: schema id {schema_id} is not known"
    )
    assert (shown["schemaId"], shown["bytes"]) == (schema_id, len(value))
    assert shown["dump"][0].startswith(f"000000  {value[:16].hex(' ')}")
    assert (shown["event"]["type"], shown["event"]["data"]) == (TYPE, None)
    assert shown["waitsBehind"] == [letter(2).id]


def test_a_letter_whose_schema_is_gone_is_shown_on_a_terminal(log: MemoryLog) -> None:
    result = CliRunner().invoke(dlq.app, ["show", failed_letter().id], catch_exceptions=False)
    assert result.exit_code == 0
    assert "schemas.unknown_schema_id" in result.stdout


def test_a_letter_whose_type_is_gone_is_shown_as_long_as_its_schema_is_kept(
    log: MemoryLog,
) -> None:
    asyncio.run(announce(log))
    (shown,) = run("show", failed_letter().id)
    assert (shown["undecodable"], shown["event"]["data"]) == (None, DATA)


async def test_a_letter_whose_schema_or_type_is_gone_cannot_be_edited_and_says_why(
    log: MemoryLog,
) -> None:
    async with LetterDesk(PLAN) as desk:
        with pytest.raises(LetterWithoutEvent, match=r"schema id \d+ is not known"):
            await desk.edit(failed_letter(), DATA)
    await announce(log)
    async with LetterDesk(PLAN) as desk:
        with pytest.raises(UnknownEventType, match=TYPE):
            await desk.edit(failed_letter(), DATA)
