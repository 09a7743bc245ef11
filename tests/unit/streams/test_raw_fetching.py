"""What we lean on in aiokafka's fetcher so that it gives records of ours. Pinned: 0.14.0."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import ConsumerRecord
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.consumer.fetcher import READ_UNCOMMITTED, FetchResult, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from streams.kafka.raw_fetching import give_raw_records
from streams.records import RawRecord

SOURCE = KafkaPartition("t", 3)
LZ4 = 3


class Position:
    """What a consumer knows of one partition."""

    paused = False

    def __init__(self) -> None:
        self.position = 0

    def consumed_to(self, position: int) -> None:
        self.position = position


class Assignment:
    """An assignment of one partition."""

    active = True

    def __init__(self) -> None:
        self.state = Position()

    def state_value(self, _source: KafkaPartition) -> Position:
        return self.state


def written(*records: tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]) -> bytes:
    """A batch as a broker sends it."""
    builder = DefaultRecordBatchBuilder(
        2,
        LZ4,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1 << 20,
    )
    for offset, (key, value, headers) in enumerate(records):
        builder.append(offset, 1_000 + offset, key, value, headers)
    return bytes(builder.build())


def fetched(batch: bytes, assignment: Assignment) -> FetchResult:
    """What the fetcher makes of it."""
    records = PartitionRecords(
        SOURCE,
        MemoryRecords(batch),
        None,
        assignment.state.position,
        None,
        None,
        check_crcs=True,
        isolation_level=READ_UNCOMMITTED,
    )
    return FetchResult(SOURCE, assignment=assignment, partition_records=records, backoff=0.1)


def raw(batch: bytes, assignment: Assignment) -> Any:
    """The same, as a consumer that gives raw records keeps it."""
    fetcher = SimpleNamespace(_records={})
    give_raw_records(SimpleNamespace(_fetcher=fetcher))
    fetcher._records[SOURCE] = fetched(batch, assignment)
    return fetcher._records[SOURCE]


def as_raw(records: Sequence[ConsumerRecord[bytes, bytes]]) -> list[RawRecord]:
    return [
        RawRecord(
            it.topic, it.partition, it.offset, it.timestamp, it.key, it.value, tuple(it.headers)
        )
        for it in records
    ]


BATCH = written(
    (b"k", b"value", [("a", b"1"), ("b", b"")]),
    (None, b"v", []),
    (b"", None, [("ü", b"\x00")]),
    (b"k", b"", []),
    (b"k", b"last", []),
)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 6, None])
def test_the_records_and_positions_are_those_of_aiokafka(size: int | None) -> None:
    one, other = Assignment(), Assignment()
    theirs, ours = fetched(BATCH, one), raw(BATCH, other)
    for _ in range(6):
        expected = as_raw(theirs.getall(size))
        given = ours.getall(size)
        assert given == expected
        assert all(type(record) is RawRecord for record in given)
        assert other.state.position == one.state.position
        assert ours.has_more() == theirs.has_more()
        if not theirs.has_more():
            break
    assert (one.state.position, theirs.has_more()) == (5, False)


def test_nothing_is_given_once_the_partition_is_sought_elsewhere_or_lost() -> None:
    assignment = Assignment()
    result = raw(BATCH, assignment)
    assert len(result.getall(2)) == 2
    assignment.state.position = 0
    assert result.getall(2) == []
    lost = Assignment()
    result = raw(BATCH, lost)
    lost.active = False
    assert result.getall(2) == []


def test_damage_is_told_and_passes_no_position() -> None:
    damaged = bytearray(BATCH)
    damaged[-1] ^= 1
    assignment = Assignment()
    result = raw(bytes(damaged), assignment)
    with pytest.raises(CorruptRecordException):
        result.getall(2)
    assert assignment.state.position == 0
