"""History as a stream of pages, the next of which is read while one is worked on.

Partitions are merged by the time of their events, each in its own order: so what one entry gathers
from several of them comes in the same order in every rebuild, and about as it came when it was new.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, NamedTuple

from connectors.history import History, Span, Wanted
from streams.folding import StoredEvent

PAGE_OFFSETS: Final = 8_000
"""How many offsets a page spans at most, over all partitions."""

FIRST_OFFSETS: Final = 1_000
"""How many the first page spans, whose events may be of any size."""

PAGE_BYTES: Final = 8 * 1024 * 1024
"""What the events of a page are to take: pages become wider or narrower until they do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Events, in order per partition; and where each partition goes on behind the page."""

    events: Sequence[StoredEvent]
    next: Mapping[int, int]


async def pages(
    history: History,
    wanted: Wanted,
    starts: Mapping[int, int],
    ends: Mapping[int, int],
    width: int = PAGE_OFFSETS,
) -> AsyncGenerator[Page, None]:
    """Everything wanted from `starts` on, below `ends`. Holds two pages; close it when left early.

    No page spans more than `width` offsets. Partitions without a start are left out. Raises as
    History does.
    """
    merge, span = Merge(starts, ends), min(width, FIRST_OFFSETS)
    ahead: asyncio.Task[Page] | None = None
    try:
        while merge.behind() or ahead is not None:
            read = await (ahead or _page(history, wanted, merge.wanted(span), ends))
            merge.add(read)
            page = merge.page()
            span = min(width, next_span(span, read))
            following = merge.wanted(span)
            ahead = None
            if following:
                ahead = asyncio.create_task(_page(history, wanted, following, ends))
            yield page
    finally:
        if ahead is not None:
            ahead.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await ahead


class _Timed(NamedTuple):
    """An event, with the latest time of its partition up to it. These are what is in order."""

    until: int
    partition: int
    stored: StoredEvent


class Merge:
    """Brings partitions together by time. Holds what was read of one while another is behind."""

    def __init__(self, starts: Mapping[int, int], ends: Mapping[int, int]) -> None:
        self._at = dict(starts)
        self._ends = ends
        self._until: dict[int, int] = {}
        self._held: dict[int, deque[_Timed]] = {partition: deque() for partition in starts}

    def behind(self) -> Sequence[int]:
        """The partitions that are not read to their ends."""
        return [it for it in sorted(self._at) if self._at[it] < self._ends.get(it, 0)]

    def wanted(self, width: int) -> Sequence[Span]:
        """What to read next: of the partitions of which nothing is held."""
        waited_for = [it for it in self.behind() if not self._held[it]]
        share = max(1, width // max(1, len(waited_for)))
        return [
            Span(it, self._at[it], min(self._at[it] + share, self._ends[it])) for it in waited_for
        ]

    def add(self, read: Page) -> None:
        """Take what was read."""
        self._at |= read.next
        for stored in read.events:
            until = max(self._until.get(stored.partition, 0), stored.event.timestamp_ms)
            self._until[stored.partition] = until
            self._held[stored.partition].append(_Timed(until, stored.partition, stored))

    def page(self) -> Page:
        """All that nothing can come before any more."""
        horizon = min(((self._until.get(it, -1), it) for it in self.behind()), default=None)
        ready: list[_Timed] = []
        for held in self._held.values():
            while held and (horizon is None or held[0][:2] <= horizon):
                ready.append(held.popleft())
        ready.sort(key=lambda timed: timed[:2])
        following = {
            it: held[0].stored.offset if held else self._at[it] for it, held in self._held.items()
        }
        return Page(events=[timed.stored for timed in ready], next=following)


def next_span(span: int, page: Page) -> int:
    """How many offsets the page behind this one should span."""
    size = sum(len(stored.event.framed or b"") for stored in page.events)
    if size > PAGE_BYTES:
        return max(1, span * PAGE_BYTES // size)
    return 2 * span if 2 * size <= PAGE_BYTES else span


async def _page(
    history: History, wanted: Wanted, spans: Sequence[Span], ends: Mapping[int, int]
) -> Page:
    events = await history.page(spans, wanted)
    following = {span.partition: span.until for span in spans}
    if not events:
        # Offsets may have wide gaps: compaction leaves some, a restore of a store leaves more.
        for span in spans:
            found = await history.after_gap(span.partition, span.until)
            end = ends[span.partition]
            following[span.partition] = end if found is None else min(found, end)
    return Page(events=events, next=following)
