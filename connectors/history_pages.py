"""History as a stream of pages, the next of which is read while one is worked on."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

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
    """Events in order per partition, and the offset behind the page for each that it spans."""

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
    at, span = dict(starts), min(width, FIRST_OFFSETS)
    ahead: asyncio.Task[Page | None] | None = None
    try:
        while True:
            page = await (ahead or _page(history, wanted, at, ends, span))
            if page is None:
                return
            at |= page.next
            span = min(width, next_span(span, page))
            ahead = asyncio.create_task(_page(history, wanted, dict(at), ends, span))
            yield page
    finally:
        if ahead is not None:
            ahead.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await ahead


def next_span(span: int, page: Page) -> int:
    """How many offsets the page behind this one should span."""
    size = sum(len(stored.event.framed or b"") for stored in page.events)
    if size > PAGE_BYTES:
        return max(1, span * PAGE_BYTES // size)
    return 2 * span if 2 * size <= PAGE_BYTES else span


async def _page(
    history: History,
    wanted: Wanted,
    at: Mapping[int, int],
    ends: Mapping[int, int],
    width: int,
) -> Page | None:
    behind = [partition for partition in sorted(at) if at[partition] < ends.get(partition, 0)]
    if not behind:
        return None
    share = max(1, width // len(behind))
    spans = [Span(it, at[it], min(at[it] + share, ends[it])) for it in behind]
    events = await history.page(spans, wanted)
    following = {span.partition: span.until for span in spans}
    if not events:
        # Offsets may have wide gaps: compaction leaves some, a restore of a store leaves more.
        for span in spans:
            found = await history.after_gap(span.partition, span.until)
            end = ends[span.partition]
            following[span.partition] = end if found is None else min(found, end)
    return Page(events=events, next=following)
