"""What was committed stands in the journal before the caller is told, a repeat too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from schemas.codec import Codec
from schemas.event import Event
from streams.errors import JournalFailed, VersionConflict
from streams.expectation import NO_EVENTS
from streams.journal import FileJournal, read_journal
from streams.journalled_appender import JournalledAppender
from streams.memory.appender import MemoryEventAppender
from streams.memory.log import MemoryLog
from streams.memory.schemas import MemoryWriterSchemas
from tests.contracts.accounts import CATALOG, credited, opened

CODEC = Codec(CATALOG)


@pytest.fixture
def stored() -> MemoryEventAppender:
    log = MemoryLog()
    return MemoryEventAppender(log, CATALOG, CODEC, MemoryWriterSchemas(log, CODEC))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


@pytest.fixture
def appender(stored: MemoryEventAppender, path: Path) -> Iterator[JournalledAppender]:
    with closing(FileJournal(path)) as journal:
        yield JournalledAppender(stored, CODEC, journal)


def ids(path: Path) -> tuple[list[str], list[str]]:
    part = read_journal(path)
    return part.published, [CODEC.view(value).id for value in part.acknowledged]


async def test_each_event_of_an_append_has_a_line_with_its_version(
    appender: JournalledAppender, path: Path
) -> None:
    appended = await appender.append([opened("a"), credited("a")], NO_EVENTS)
    expected = [event.id for event in appended.events]
    assert ids(path) == (expected, expected)
    views = [CODEC.view(value) for value in read_journal(path).acknowledged]
    assert [event.aggregate for event in views] == [event.aggregate for event in appended.events]


async def test_an_append_that_is_refused_leaves_no_line(
    appender: JournalledAppender, stored: MemoryEventAppender, path: Path
) -> None:
    await stored.append([opened("a")], NO_EVENTS)
    with pytest.raises(VersionConflict):
        await appender.append([opened("a")], NO_EVENTS)
    assert ids(path) == ([], [])


async def test_what_a_killed_process_had_committed_is_written_down_by_the_next_try(
    appender: JournalledAppender, stored: MemoryEventAppender, path: Path
) -> None:
    first = await stored.append([opened("a")], NO_EVENTS, command_id="open")
    again = await appender.append([opened("a")], NO_EVENTS, command_id="open")
    assert again.is_repeat
    assert ids(path)[1] == [first.events[0].id]
    await appender.result_of("Account", "a", "open")
    assert ids(path)[1] == [first.events[0].id] * 2
    assert await appender.result_of("Account", "a", "close") is None


async def test_an_append_that_the_journal_cannot_take_is_not_acknowledged(
    stored: MemoryEventAppender,
) -> None:
    class Full:
        def appended(self, event: Event[Any], value: bytes) -> None:
            raise OSError(28, "No space left on device")

    appender = JournalledAppender(stored, CODEC, Full())
    with pytest.raises(JournalFailed, match="No space left on device") as failed:
        await appender.append([opened("a")], NO_EVENTS, command_id="open")
    assert failed.value.retryable
    assert await stored.result_of("Account", "a", "open") is not None
