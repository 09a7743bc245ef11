"""The state of one key as of a time or a version: the fold of its stored history up to there."""

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from connectors.history import History, Wanted
from connectors.history_pages import pages
from connectors.projection_errors import FoldStopped
from schemas.event import Event
from streams.folding import FoldFailure, StoredEvent, keyed
from streams.projection import Projection, State


@dataclass(frozen=True, slots=True, kw_only=True)
class AsOf:
    """Where history ends: at a time of the events, at a version, or nowhere.

    The version is the aggregate's where its events have one, else how many events the state holds.
    """

    time: datetime | None = None
    version: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """A whole number is a version, else a time in ISO 8601, UTC where it names no zone.

        Raises ValueError.
        """
        if text.isdecimal():
            return cls(version=int(text))
        return cls(time=parsed_time(text))


def parsed_time(text: str) -> datetime:
    """A time in ISO 8601; UTC where it names no zone. Raises ValueError."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no time: write it as 2026-11-25T13:00:00Z") from error
    return parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class PastState:
    """A state and what it was folded from."""

    key: str
    state: State
    events: int
    last_event_id: str
    last_event_at: datetime

    def as_mapping(self, projection: str) -> Mapping[str, Any]:
        """For JSON."""
        return {
            "projection": projection,
            "key": self.key,
            "state": self.state,
            "events": self.events,
            "last_event": {
                "id": self.last_event_id,
                "timestamp": self.last_event_at.isoformat(timespec="milliseconds"),
            },
        }


async def state_as_of(
    projection: Projection, history: History, key: str, as_of: AsOf
) -> PastState | None:
    """Fold what is stored; None where the key had no event by then.

    Without a key function the key names the aggregate, whose events an index finds; with one all
    events of the projection's types are read. Raises FoldStopped, DatabaseUnavailable.
    """
    state, events, last = projection.initial(), 0, None
    async for stored in _events(projection, history, key, as_of.time):
        if as_of.version is not None and _version(stored.event, events) > as_of.version:
            break
        try:
            state = projection.fold(state, stored.event)
        except Exception as error:
            failure = FoldFailure.of(stored, error)
            raise FoldStopped(projection.name, failure) from error
        events, last = events + 1, stored.event
    if last is None:
        return None
    return PastState(
        key=key, state=state, events=events, last_event_id=last.id, last_event_at=last.timestamp
    )


def _version(event: Event[Any], before: int) -> int:
    aggregate = event.aggregate
    if aggregate is not None and aggregate.version is not None:
        return aggregate.version
    return before + 1


async def _events(
    projection: Projection, history: History, key: str, until: datetime | None
) -> AsyncIterator[StoredEvent]:
    aggregate_type, is_aggregate, aggregate_id = key.partition("/")
    if projection.key is None and is_aggregate:
        for event in await history.of_aggregate(aggregate_type, aggregate_id, until):
            if projection.wants(event.type):
                yield StoredEvent(-1, -1, event)
        return
    ends = await history.ends()
    wanted = Wanted(patterns=projection.patterns, until=until)
    stream = pages(history, wanted, dict.fromkeys(ends, 0), ends)
    async with aclosing(stream):
        async for page in stream:
            batch = keyed(projection, page.events)
            if batch.failure is not None:
                raise FoldStopped(projection.name, batch.failure)
            for delivery in batch.deliveries:
                if delivery.key == key:
                    yield delivery.stored
