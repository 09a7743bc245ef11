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

    Partitions without a start are left out. Raises as History does.
    """
    at = dict(starts)
    ahead: asyncio.Task[Page | None] | None = None
    try:
        while True:
            page = await (ahead or _page(history, wanted, at, ends, width))
            if page is None:
                return
            at |= page.next
            ahead = asyncio.create_task(_page(history, wanted, dict(at), ends, width))
            yield page
    finally:
        if ahead is not None:
            ahead.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await ahead


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
