"""Many entries are put into a batch as one: all of them or none, and never more than it holds."""

from __future__ import annotations

import pytest
from aiokafka.producer.message_accumulator import BatchBuilder

from streams.kafka.batching import (
    ENTRY_BYTES,
    WHOLE_BYTES,
    Batching,
    BatchTooSmall,
    _Batch,
    _takes_whole,
)
from streams.kafka.clients import BATCH_BYTES
from streams.kafka.unacknowledged import Unacknowledged
from streams.records import OutgoingEntries

LZ4 = 3
TOGETHER = 256


def empty_batch() -> _Batch:
    return _Batch(BatchBuilder(BATCH_BYTES, LZ4), [])


def entries(count: int, size: int) -> OutgoingEntries:
    return OutgoingEntries("t", 0, [(b"k", bytes(size))] * count)


async def put(batch: _Batch, whole: OutgoingEntries) -> bool:
    """What a line does that fills a batch."""
    if not _takes_whole(batch, whole):
        return False
    first = next(whole.records())
    batch.records.append(Unacknowledged(TOGETHER, None).take(first, whole))
    return True


@pytest.mark.parametrize("size", [0, 1, 100, 215, 400])
async def test_a_batch_takes_all_of_the_entries_until_it_takes_none(size: int) -> None:
    batch, times = empty_batch(), 0
    while await put(batch, entries(TOGETHER, size)):
        times += 1
        assert batch.builder.record_count() == TOGETHER * times
    assert batch.builder.record_count() == TOGETHER * times
    assert 0 < batch.builder.size() <= BATCH_BYTES


@pytest.mark.parametrize("count", [1, 2, TOGETHER])
async def test_an_empty_batch_holds_as_much_as_goes_whole(count: int) -> None:
    room = WHOLE_BYTES // count - ENTRY_BYTES - len(b"k")
    largest = entries(count, room)
    assert Batching.takes_whole(largest)
    assert not Batching.takes_whole(entries(count, room + 1))
    batch = empty_batch()
    assert await put(batch, largest)
    assert batch.builder.record_count() == count
    assert batch.builder.size() <= BATCH_BYTES


def test_entries_that_a_batch_was_thought_to_hold_are_not_dropped_silently() -> None:
    with pytest.raises(BatchTooSmall, match="200 entries"):
        _takes_whole(empty_batch(), entries(200, 1_000))
