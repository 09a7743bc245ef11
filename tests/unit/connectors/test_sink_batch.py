from hypothesis import given
from hypothesis import strategies as st

from connectors.event_row import EventRow
from connectors.sink_batch import SinkBatch
from connectors.sink_target import Claim, PlacedRow, Position
from streams.records import RawRecord, TopicPartition

ONE = TopicPartition("store.events", 1)


def records(*offsets: int, partition: int = 1) -> list[RawRecord]:
    return [
        RawRecord(
            topic="store.events",
            partition=partition,
            offset=offset,
            timestamp_ms=0,
            key=None,
            value=b"",
        )
        for offset in offsets
    ]


def test_a_batch_advances_behind_its_last_record() -> None:
    claims = {1: Claim(5, 1)}
    batch = SinkBatch.of({ONE: records(5, 6, 9)}, claims)
    assert [record.offset for record in batch.records] == [5, 6, 9]
    assert batch.next == {1: 10}
    assert batch.claims == claims


def test_what_is_stored_already_is_left_out() -> None:
    claims = {1: Claim(7, 1)}
    batch = SinkBatch.of({ONE: records(5, 6, 7)}, claims)
    assert [record.offset for record in batch.records] == [7]


def test_records_of_a_partition_that_is_not_owned_are_left_out() -> None:
    batch = SinkBatch.of({ONE: records(5)}, {})
    assert (list(batch.records), batch.next) == ([], {})


def row_at(partition: int, offset: int) -> PlacedRow:
    row = tuple.__new__(EventRow, (f"e-{partition}-{offset}",))
    return PlacedRow(Position(partition, offset), row)


def test_the_parts_of_a_large_batch_hold_whole_partitions_and_all_rows_once() -> None:
    read = {
        TopicPartition("store.events", at): records(*range(200), partition=at) for at in range(4)
    }
    batch = SinkBatch.of(read, {at: Claim(0, 1) for at in range(4)})
    rows = [row_at(at, offset) for at in range(4) for offset in range(200)]
    parts = batch.parts(2)
    assert [sorted(part.next) for part in parts] == [[0, 2], [1, 3]]
    stored = [placed for part in parts for placed in part.to_store(rows).rows]
    assert sorted(placed.position for placed in stored) == [placed.position for placed in rows]


def test_the_parts_are_about_as_large_as_each_other() -> None:
    sizes = {0: 600, 1: 100, 2: 500}
    read = {
        TopicPartition("store.events", at): records(*range(size), partition=at)
        for at, size in sizes.items()
    }
    batch = SinkBatch.of(read, {at: Claim(0, 1) for at in sizes})
    assert [set(part.next) for part in batch.parts(2)] == [{0}, {1, 2}]
    assert [set(part.next) for part in batch.parts(5)] == [{0}, {2}, {1}]


def test_rows_that_are_stored_already_or_not_owned_are_left_out() -> None:
    batch = SinkBatch.of({ONE: records(5, 6, 7)}, {1: Claim(6, 1)})
    rows = [row_at(1, 5), row_at(1, 6), row_at(1, 7), row_at(2, 9)]
    assert batch.to_store(rows).rows == rows[1:3]
    assert batch.parts(2) == [batch]


@given(
    held=st.dictionaries(st.integers(0, 3), st.integers(0, 20)),
    found=st.dictionaries(st.integers(0, 3), st.lists(st.integers(0, 30), unique=True).map(sorted)),
)
def test_no_offset_moves_without_its_records_or_backwards(
    held: dict[int, int], found: dict[int, list[int]]
) -> None:
    claims = {partition: Claim(offset, 1) for partition, offset in held.items()}
    read = {
        TopicPartition("store.events", at): records(*offsets, partition=at)
        for at, offsets in found.items()
    }
    batch = SinkBatch.of(read, claims)
    for partition, following in batch.next.items():
        offsets = [record.offset for record in batch.records if record.partition == partition]
        assert following == max(offsets) + 1 > claims[partition].next
        assert offsets == [offset for offset in found[partition] if offset >= held[partition]]
