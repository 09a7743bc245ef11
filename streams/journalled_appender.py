"""Appends that are written down: what was committed stands in a journal before a caller is told."""

from collections.abc import Sequence
from typing import Any, Protocol

import structlog

from schemas.codec import Codec
from schemas.event import Event
from streams.errors import JournalFailed
from streams.event_store import CommandAppender
from streams.expectation import Appended, ExpectedVersion

log = structlog.get_logger(__name__)


class AppendJournal(Protocol):
    """Told of every appended event; an append is acknowledged by its commit."""

    def appended(self, event: Event[Any], value: bytes) -> None:
        """Write down an event with its version, and its bytes. What it raises is JournalFailed."""
        ...


class JournalledAppender:
    """Implements CommandAppender on top of another one.

    A process that was killed between the commit and its line writes the line when the same command
    is tried again: a repeat is written down like a first success.
    """

    def __init__(self, appender: CommandAppender, codec: Codec, journal: AppendJournal) -> None:
        self._appender = appender
        self._codec = codec
        self._journal = journal

    async def append(
        self,
        events: Sequence[Event[Any]],
        expected: ExpectedVersion,
        *,
        command_id: str | None = None,
    ) -> Appended:
        """See EventAppender. Raises also JournalFailed: then the events are stored."""
        appended = await self._appender.append(events, expected, command_id=command_id)
        self._note(appended)
        return appended

    async def result_of(
        self, aggregate_type: str, aggregate_id: str, command_id: str
    ) -> Appended | None:
        """See CommandResults. Raises also JournalFailed."""
        found = await self._appender.result_of(aggregate_type, aggregate_id, command_id)
        if found is not None:
            self._note(found)
        return found

    def _note(self, appended: Appended) -> None:
        for event in appended.events:
            try:
                self._journal.appended(event, self._codec.encode(event))
            except Exception as error:
                log.exception("event not journalled", event_id=event.id)
                raise JournalFailed(f"the event {event.id} is in no journal: {error}") from error
