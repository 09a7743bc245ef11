"""History as pages: everything once, in order, up to the end, across gaps of any width."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from connectors.history import Span, Wanted
from connectors.history_pages import PAGE_BYTES, Page, next_span, pages
from schemas.event import Event
from streams.folding import StoredEvent
from tests.unit.streams.tabling import event

EVERYTHING = Wanted(patterns=("*",))


class MemoryHistory:
    """Implements History over offsets by partition; counts the pages that it was asked for."""

    def __init__(self, offsets: Mapping[int, Sequence[int]]) -> None:
        self.asked = 0
        self._offsets = offsets

    async def ends(self) -> Mapping[int, int]:
        return {it: max(offsets, default=-1) + 1 for it, offsets in self._offsets.items()}

    async def page(self, spans: Sequence[Span], wanted: Wanted) -> Sequence[StoredEvent]:
        self.asked += 1
        return [
            StoredEvent(span.partition, offset, at_time(timestamp_of(span.partition, offset)))
            for span in spans
            for offset in sorted(self._offsets[span.partition])
            if span.start <= offset < span.until
        ]

    async def after_gap(self, partition: int, start: int) -> int | None:
        return min((it for it in self._offsets[partition] if it >= start), default=None)

    async def of_aggregate(self, *_: object) -> Sequence[Event[Any]]:
        return ()

    async def stored(self, event_ids: Sequence[str]) -> dict[str, Event[Any]]:
        return {}


def at_time(timestamp_ms: int) -> Event[Any]:
    """An event of this time."""
    made = event(1)
    return Event(made.envelope._replace(timestamp_ms=timestamp_ms), made.data)


STORED = st.dictionaries(
    st.integers(0, 3), st.sets(st.integers(0, 300), min_size=1, max_size=40), min_size=1
)


@given(stored=STORED, width=st.integers(1, 60), start=st.integers(0, 50))
async def test_every_event_comes_once_and_the_last_page_ends_where_history_ends(
    stored: dict[int, set[int]], width: int, start: int
) -> None:
    history = MemoryHistory({it: sorted(offsets) for it, offsets in stored.items()})
    ends = await history.ends()
    at = dict.fromkeys(ends, start)
    found: list[tuple[int, int]] = []
    async with aclosing(pages(history, EVERYTHING, at, ends, width)) as stream:
        async for page in stream:
            for partition, offset, _ in page.events:
                assert at[partition] <= offset < page.next[partition]
                found.append((partition, offset))
            at |= page.next
    wanted = {
        (it, offset) for it, offsets in stored.items() for offset in offsets if offset >= start
    }
    assert sorted(found) == sorted(wanted)
    assert all(at[it] == max(end, start) for it, end in ends.items())


async def test_a_wide_gap_is_one_question() -> None:
    history = MemoryHistory({0: [0, 10_000_000]})
    stream = pages(history, EVERYTHING, {0: 0}, await history.ends(), 100)
    async with aclosing(stream):
        assert [[it.offset for it in page.events] async for page in stream if page.events] == [
            [0],
            [10_000_000],
        ]
    assert history.asked == 3


async def test_a_stream_that_is_left_early_reads_nothing_more() -> None:
    history = MemoryHistory({0: range(1_000)})
    async with aclosing(pages(history, EVERYTHING, {0: 0}, {0: 1_000}, 10)) as stream:
        async for _ in stream:
            break
    assert history.asked <= 2


class Sized:
    """An event of so many bytes."""

    def __init__(self, size: int) -> None:
        self.framed = bytes(size)


def page_of(*sizes: int) -> Page:
    events: Any = [StoredEvent(0, number, Sized(size)) for number, size in enumerate(sizes)]  # type: ignore[arg-type]  # all that is asked of an event here
    return Page(events=events, next={})


def test_pages_grow_while_their_events_are_small_and_shrink_when_they_are_large() -> None:
    assert next_span(1_000, page_of(100, 200)) == 2_000
    assert next_span(1_000, page_of(PAGE_BYTES * 3 // 4)) == 1_000
    assert next_span(1_000, page_of(PAGE_BYTES, PAGE_BYTES)) == 500
    assert next_span(1, page_of(PAGE_BYTES, PAGE_BYTES)) == 1


@given(stored=STORED, width=st.integers(1, 60))
async def test_partitions_are_merged_by_time_whatever_the_width_of_a_page(
    stored: dict[int, set[int]], width: int
) -> None:
    history = MemoryHistory({it: sorted(offsets) for it, offsets in stored.items()})
    ends = await history.ends()
    found: list[StoredEvent] = []
    async with aclosing(pages(history, EVERYTHING, dict.fromkeys(ends, 0), ends, width)) as stream:
        async for page in stream:
            found += page.events
    merged = heapq.merge(
        *(
            [(timestamp_of(it, offset), it, offset) for offset in sorted(stored[it])]
            for it in sorted(stored)
        ),
        key=lambda place: place[0],
    )
    assert [(it.partition, it.offset) for it in found] == [place[1:] for place in merged]


def timestamp_of(partition: int, offset: int) -> int:
    """Partitions differ in how fast their time goes by."""
    return offset * (partition + 1)


async def test_a_page_ends_before_what_is_held_back() -> None:
    history = MemoryHistory({0: range(100), 3: range(100)})
    at = {0: 0, 3: 0}
    async with aclosing(pages(history, EVERYTHING, at, {0: 100, 3: 100}, 20)) as stream:
        async for page in stream:
            for partition, offset, _ in page.events:
                assert at[partition] == offset
                at[partition] += 1
            assert page.next == at
    assert at == {0: 100, 3: 100}
