"""History read again into one handler: what it emits now, beside what is stored of it.

Read without anybody's consumer group, so no live worker notices. An event that is stored under its
id is not sent again: every reader would drop it, and those that have forgotten its id would not.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

from connectors.history import History, Wanted
from connectors.history_pages import pages
from connectors.projected_rows import NOWHERE, ChangedRows
from schemas.event import Event
from schemas.pattern import matches
from streams.folding import FoldFailure, StoredEvent
from streams.receipt import Receipt
from streams.rehearsal import Rehearsal

SHOWN: Final = 20
"""How many failures and events are named; all are counted."""

LOOK_BEYOND: Final = 8
"""For how many events behind the last emitted one it is looked whether more are stored."""


class Publishing(Protocol):
    """Sends events, as EventPublisher does."""

    async def publish(self, event: Event[Any]) -> Receipt:
        """Encode and send."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which part of history: by type, by the events' own time, by key, by offsets of the store.

    `offsets` are ranges by partition, from the first on, below the second (None: the end); where
    it is empty, all partitions are read.
    """

    patterns: tuple[str, ...]
    since: datetime | None = None
    until: datetime | None = None
    key: str | None = None
    offsets: Mapping[int, tuple[int, int | None]] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class ReplayReport:
    """What a replay came to. Emitted events are new, the same as stored, or stored with other data.

    `gone` are stored ones that the handler does not emit any more. `rows` are those of Postgres
    projections that the new events change.
    """

    read: int = 0
    handled: int = 0
    failed: int = 0
    new: int = 0
    same: int = 0
    changed: int = 0
    gone: int = 0
    published: int = 0
    rows: Mapping[str, int] = field(default_factory=dict)
    failures: list[FoldFailure] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)

    def as_mapping(self) -> Mapping[str, Any]:
        """For JSON."""
        return {
            "read": self.read,
            "handled": self.handled,
            "failed": self.failed,
            "emitted": {
                "new": self.new,
                "same": self.same,
                "changed": self.changed,
                "gone": self.gone,
            },
            "published": self.published,
            "rows": dict(self.rows),
            "failures": [str(failure) for failure in self.failures],
            "shown": self.shown,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayProgress:
    """How far a replay is, in offsets of the store."""

    offsets: int
    of: int
    events: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayEdges:
    """What a replay reads, and where it sends; without a publisher it sends nothing."""

    history: History
    publisher: Publishing | None
    rows: ChangedRows


class Replay:
    """One replay of a part of history."""

    def __init__(
        self,
        rehearsal: Rehearsal,
        edges: ReplayEdges,
        heard: Callable[[ReplayProgress], None] = lambda _progress: None,
    ) -> None:
        self.report = ReplayReport()
        self._rehearsal = rehearsal
        self._edges = edges
        self._heard = heard

    async def run(self, selection: Selection) -> ReplayReport:
        """Handle all that is selected, in order per partition.

        An event at which the handler raises is named, and what it would have emitted left out.
        Raises DatabaseUnavailable, BrokerUnavailable, DeliveryFailed.
        """
        of_one = selection.key is not None and "/" in selection.key and not selection.offsets
        async for events in self._of_key(selection) if of_one else self._selected(selection):
            emitted = [pair for event in events for pair in await self._handled(event)]
            await self._compare(emitted)
        self.report.rows = self._edges.rows.counts()
        return self.report

    async def _of_key(self, selection: Selection) -> AsyncIterator[Sequence[StoredEvent]]:
        """The events of one aggregate, which an index finds."""
        aggregate_type, _, aggregate_id = (selection.key or "").partition("/")
        found = await self._edges.history.of_aggregate(
            aggregate_type, aggregate_id, selection.until
        )
        events = [
            StoredEvent(NOWHERE, number, event)
            for number, event in enumerate(found)
            if any(matches(pattern, event.type) for pattern in selection.patterns)
            and (selection.since is None or event.timestamp >= selection.since)
        ]
        yield self._taken(events, selection.key)

    async def _selected(self, selection: Selection) -> AsyncIterator[Sequence[StoredEvent]]:
        ends = await self._edges.history.ends()
        starts, bounds = _bounds(selection, ends)
        wanted = Wanted(patterns=selection.patterns, since=selection.since, until=selection.until)
        at, total = dict(starts), _between(starts, bounds)
        stream = pages(self._edges.history, wanted, starts, bounds)
        async with aclosing(stream):
            async for page in stream:
                at |= page.next
                yield self._taken(page.events, selection.key)
                passed = total - _between(at, bounds)
                self._heard(ReplayProgress(offsets=passed, of=total, events=self.report.handled))

    def _taken(self, events: Sequence[StoredEvent], key: str | None) -> Sequence[StoredEvent]:
        self.report.read += len(events)
        return [
            stored
            for stored in events
            if (key is None or stored.event.key == key) and self._rehearsal.takes(stored.event)
        ]

    async def _handled(self, stored: StoredEvent) -> Sequence[tuple[Event[Any], Event[Any] | None]]:
        """The cause with each event that it brings about; with None where there is none."""
        self.report.handled += 1
        try:
            emitted = await self._rehearsal.handle(stored.event)
        except Exception as error:  # noqa: BLE001  # a handler belongs to a team's app
            self.report.failed += 1
            if len(self.report.failures) < SHOWN:
                self.report.failures.append(FoldFailure.of(stored, error))
            return ()
        return [(stored.event, event) for event in emitted] or [(stored.event, None)]

    async def _compare(self, emitted: Sequence[tuple[Event[Any], Event[Any] | None]]) -> None:
        """Tell new from stored, and send what is new."""
        known = await self._edges.history.stored(self._ids(emitted))
        new: list[Event[Any]] = []
        for _, event in emitted:
            if event is None:
                continue
            stored = known.pop(event.id, None)
            if stored is None:
                new.append(event)
                self._show("new", event)
            elif _content(stored) == _content(event):
                self.report.same += 1
            else:
                self.report.changed += 1
                self._show("changed", event)
        self.report.new += len(new)
        self.report.gone += len(known)
        for event in known.values():
            self._show("gone", event)
        await self._edges.rows.add(new)
        if self._edges.publisher is not None:
            receipts = [await self._edges.publisher.publish(event) for event in new]
            for receipt in receipts:
                await receipt
            self.report.published += len(receipts)

    def _ids(self, emitted: Iterable[tuple[Event[Any], Event[Any] | None]]) -> Sequence[str]:
        """The ids of what is emitted now, and of what may have been emitted behind it."""
        counts: dict[Event[Any], int] = {}
        for cause, event in emitted:
            counts[cause] = counts.get(cause, 0) + (event is not None)
        return [
            self._rehearsal.emitted_id(cause, ordinal)
            for cause, count in counts.items()
            for ordinal in range(count + LOOK_BEYOND)
        ]

    def _show(self, what: str, event: Event[Any]) -> None:
        if len(self.report.shown) < SHOWN:
            self.report.shown.append(f"{what} {event.type} {event.key} {event.id}")


def _bounds(
    selection: Selection, ends: Mapping[int, int]
) -> tuple[Mapping[int, int], Mapping[int, int]]:
    """From where to where each partition is read."""
    chosen = selection.offsets or dict.fromkeys(ends, (0, None))
    starts = {partition: first for partition, (first, _) in chosen.items()}
    bounds = {
        partition: min(ends.get(partition, 0), ends.get(partition, 0) if last is None else last)
        for partition, (_, last) in chosen.items()
    }
    return starts, bounds


def _between(at: Mapping[int, int], bounds: Mapping[int, int]) -> int:
    return sum(max(0, bounds.get(partition, 0) - offset) for partition, offset in at.items())


def _content(event: Event[Any]) -> tuple[str, str, Mapping[str, Any]]:
    """What makes two events of one id the same."""
    return event.type, event.key, event.payload
