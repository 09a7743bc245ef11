from hypothesis import given
from hypothesis import strategies as st

from connectors.sink_batch import SinkBatch
from connectors.sink_target import Claim
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
