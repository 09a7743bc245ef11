"""What we lean on in aiokafka's fetcher so that it gives records of ours. Pinned: 0.14.0."""

from __future__ import annotations

import copy
import gc
import operator
import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from weakref import ref

import pytest
from aiokafka import ConsumerRecord
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.consumer.fetcher import READ_UNCOMMITTED, FetchResult, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from hypothesis import given
from hypothesis import strategies as st

from streams.kafka.raw_fetching import give_raw_records
from streams.kafka.record_batches import IN_USE, KEPT_HEADERS, KeptRecords, unpacked
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


def written(
    *records: tuple[bytes | None, bytes | None, list[tuple[str, bytes]]], codec: int = LZ4
) -> bytes:
    """A batch as a broker sends it."""
    builder = DefaultRecordBatchBuilder(
        2,
        codec,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1 << 20,
    )
    for offset, (key, value, headers) in enumerate(records):
        builder.append(offset, 1_000 + offset, key, value, headers)
    return bytes(builder.build())


def fetched(
    batch: bytes, assignment: Assignment, kept: type[MemoryRecords] = MemoryRecords
) -> FetchResult:
    """What the fetcher makes of it."""
    records = PartitionRecords(
        SOURCE,
        kept(batch),
        None,
        assignment.state.position,
        None,
        None,
        check_crcs=True,
        isolation_level=READ_UNCOMMITTED,
    )
    return FetchResult(SOURCE, assignment=assignment, partition_records=records, backoff=0.1)


def raw(batch: bytes, assignment: Assignment, kept: type[MemoryRecords]) -> Any:
    """The same, as a consumer that gives raw records keeps it."""
    fetcher = SimpleNamespace(_records={})
    give_raw_records(SimpleNamespace(_fetcher=fetcher))
    fetcher._records[SOURCE] = fetched(batch, assignment, kept)
    return fetcher._records[SOURCE]


def as_raw(records: Sequence[ConsumerRecord[bytes, bytes]]) -> list[RawRecord]:
    return [
        RawRecord(
            it.topic, it.partition, it.offset, it.timestamp, it.key, it.value, tuple(it.headers)
        )
        for it in records
    ]


def chained(*batches: bytes) -> bytes:
    """Batches that follow each other in the log."""
    log, offset = b"", 0
    for batch in batches:
        log += offset.to_bytes(8, "big") + batch[8:]
        offset += int.from_bytes(batch[57:61], "big")
    return log


BATCH = written(
    (b"k", b"value", [("a", b"1"), ("b", b"")]),
    (None, b"v", []),
    (b"", None, [("ü", b"\x00")]),
    (b"k", b"", []),
    (b"k", b"last", []),
)
LOG = chained(BATCH, written((b"k", b"v", [("a", b"1")] * 12)), BATCH)
KINDS = (MemoryRecords, KeptRecords) if IN_USE else (MemoryRecords,)
each_kind = pytest.mark.parametrize("kept", KINDS)


@each_kind
@pytest.mark.parametrize("begin", [0, 3, 8])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 6, 11, 12, None])
def test_the_records_and_positions_are_those_of_aiokafka(
    kept: type[MemoryRecords], begin: int, size: int | None
) -> None:
    one, other = Assignment(), Assignment()
    one.state.position = other.state.position = begin
    theirs, ours = fetched(LOG, one), raw(LOG, other, kept)
    for _ in range(12):
        expected = as_raw(theirs.getall(size))
        given = ours.getall(size)
        assert given == expected
        assert all(type(record) is RawRecord for record in given)
        assert other.state.position == one.state.position
        assert ours.has_more() == theirs.has_more()
        if not theirs.has_more():
            break
    assert (one.state.position, theirs.has_more()) == (11, False)


@each_kind
def test_nothing_is_given_once_the_partition_is_sought_elsewhere_or_lost(
    kept: type[MemoryRecords],
) -> None:
    assignment = Assignment()
    result = raw(BATCH, assignment, kept)
    assert len(result.getall(2)) == 2
    assignment.state.position = 0
    assert result.getall(2) == []
    lost = Assignment()
    result = raw(BATCH, lost, kept)
    lost.active = False
    assert result.getall(2) == []


@each_kind
def test_damage_is_told_and_passes_no_position(kept: type[MemoryRecords]) -> None:
    damaged = bytearray(BATCH)
    damaged[-1] ^= 1
    assignment = Assignment()
    result = raw(bytes(damaged) + BATCH, assignment, kept)
    with pytest.raises(CorruptRecordException):
        result.getall(2)
    assert assignment.state.position == 0
    assert result.getall(2) == []
    assert assignment.state.position == 0


@contextmanager
def no_search_for_cycles() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@each_kind
@pytest.mark.parametrize("size", [2, 5, None])
def test_what_was_taken_is_gone_without_a_search_for_cycles(
    kept: type[MemoryRecords], size: int | None
) -> None:
    with no_search_for_cycles():
        result = raw(BATCH, Assignment(), kept)
        records = ref(result._partition_records)
        while result.has_more():
            result.getall(size)
        del result
        assert records() is None


def test_what_was_not_taken_is_gone_without_a_search_for_cycles() -> None:
    if IN_USE:
        with no_search_for_cycles():
            result = raw(LOG, Assignment(), KeptRecords)
            records = ref(result._partition_records)
            assert len(result.getall(2)) == 2
            del result
            assert records() is None


def rewritten(batch: bytes, section: bytes, **fields: int) -> bytes:
    """The batch with other records and a right checksum; `fields` by their place in the header."""
    changed = bytearray(batch[:61])
    for name, value in fields.items():
        place, size = PLACES[name]
        changed[place : place + size] = value.to_bytes(size, "big", signed=True)
    changed += section
    changed[8:12] = (len(changed) - 12).to_bytes(4, "big")
    changed[17:21] = calc_crc32c(bytes(changed[21:])).to_bytes(4, "big")
    return bytes(changed)


PLACES = {"attributes": (21, 2), "last": (23, 4), "first_time": (27, 8), "count": (57, 4)}
RECORD = bytes((0x10, 0, 0, 0, 2, 0x6B, 2, 0x76, 0))
"""Of 8 bytes: key `k`, value `v`, no headers."""


@each_kind
@pytest.mark.parametrize(
    ("section", "fields"),
    [
        (RECORD, {"attributes": 0}),
        (RECORD, {"attributes": 8}),
        (RECORD, {"attributes": 32}),
        (RECORD, {"first_time": -1}),
        (RECORD[:1] + b"\x01" + RECORD[2:], {}),
        (RECORD + RECORD, {"count": 2, "last": 1}),
        (RECORD + RECORD[:3] + b"\x06" + RECORD[4:], {"count": 2, "last": 5}),
        (b"", {"count": 0, "last": 4}),
        (b"", {"count": -1}),
        (RECORD + b"\x00", {}),
        (RECORD[:-1], {}),
        (RECORD, {"count": 2}),
        (b"\x12" + RECORD[1:], {}),
        (b"\x0e" + RECORD[1:], {}),
        (b"\x01" + RECORD[1:], {}),
        (RECORD[:4] + b"\x7e" + RECORD[5:], {}),
        (RECORD[:-1] + b"\x01", {}),
        (RECORD[:-1] + b"\x02", {}),
        (b"\x16" + RECORD[1:-1] + b"\x02\x02a\x01", {}),
        (b"\x16" + RECORD[1:-1] + b"\x02\x02\xff\x01", {}),
        (b"\x14" + RECORD[1:-1] + b"\x02\x01\x01", {}),
    ],
)
def test_odd_records_are_those_of_aiokafka(
    kept: type[MemoryRecords], section: bytes, fields: dict[str, int]
) -> None:
    one = rewritten(written((b"k", b"v", [])), section, **{"attributes": 0, **fields})
    assert answer(raw(one, Assignment(), kept)) == answer(fetched(one, Assignment()))


def answer(result: Any) -> Any:
    """What is given and where the position is then, or the error."""
    try:
        given = result.getall(None)
    except Exception as error:  # noqa: BLE001  # whatever it is, both must raise it
        return type(error), str(error)
    raw_records = given if given and type(given[0]) is RawRecord else as_raw(given)
    return raw_records, result._assignment.state.position


PLAIN = written(*((b"k", b"v" * size, [("a", b"1")]) for size in range(4)), codec=0)


@each_kind
@given(st.data())
def test_a_damaged_section_gets_the_same_answer(
    kept: type[MemoryRecords], draw: st.DataObject
) -> None:
    section = bytearray(PLAIN[61:])
    for _ in range(draw.draw(st.integers(1, 3))):
        place = draw.draw(st.integers(0, len(section) - 1))
        section[place] = draw.draw(st.integers(0, 255))
    one = rewritten(PLAIN, bytes(section))
    found, expected = answer(raw(one, Assignment(), kept)), answer(fetched(one, Assignment()))
    assert found == expected


@each_kind
@pytest.mark.parametrize("codec", [0, 1, 2, 3, 4])
def test_records_of_every_codec_are_read(kept: type[MemoryRecords], codec: int) -> None:
    one = written((b"k", b"v" * 500, [("a", b"1")]), codec=codec)
    assert answer(raw(one, Assignment(), kept)) == answer(fetched(one, Assignment()))


def test_a_batch_that_was_written_by_our_client_is_read_in_c() -> None:
    if IN_USE:
        records = fetched(LOG, Assignment(), KeptRecords)._partition_records
        batches = [type(batch) for batch in unpacked(SOURCE, records)]
        assert batches == [list] * 3


@each_kind
@given(
    st.lists(
        st.tuples(
            st.text(max_size=9) | st.sampled_from(["ce_id", "wundr_late", "é", ""]),
            st.none() | st.binary(max_size=200),
        ),
        max_size=6,
    ),
    st.integers(-9, 9),
)
def test_headers_are_as_good_as_a_tuple(
    kept: type[MemoryRecords], written_as: list[Any], place: int
) -> None:
    expected = tuple(written_as)
    one = written((b"k", b"v", written_as))

    def read() -> Any:
        result = raw(one, Assignment(), kept)
        (record,) = result.getall()
        return record.headers

    assert (len(read()), repr(read()), hash(read())) == (
        len(expected),
        repr(expected),
        hash(expected),
    )
    assert read() == expected
    assert expected == read()
    assert read() == read()
    assert read() != (*expected, ("more", b""))
    assert tuple(read()) == (*read(),) == expected
    assert [*reversed(read())] == [*reversed(expected)]
    assert read()[place:] == expected[place:]
    assert read() + expected == expected + read() == read() + read() == expected * 2
    assert pickle.loads(pickle.dumps(read())) == copy.deepcopy(read()) == expected
    with pytest.raises(TypeError):
        operator.add(read(), [("a", b"")])
    assert all(header in read() for header in expected)
    assert ("none of them", b"") not in read()
    headers = read()
    assert [headers[at] for at in range(-len(expected), len(expected))] == [*expected] * 2
    with pytest.raises(IndexError):
        headers[len(expected)]
    with pytest.raises(TypeError):
        headers["a"]


def test_nobody_can_make_headers_of_other_bytes() -> None:
    if KEPT_HEADERS is not None:
        with pytest.raises(TypeError):
            KEPT_HEADERS()


def test_headers_are_kept_as_bytes_until_somebody_looks() -> None:
    if IN_USE:
        one = written((b"k", b"v", [("type", b"happened")]))
        result = raw(one, Assignment(), KeptRecords)
        (record,) = result.getall()
        assert type(record.headers) is KEPT_HEADERS
        assert record.headers[0] is record.headers[0]
        assert record == record._replace(headers=(("type", b"happened"),))
