"""From what a broker sent of one partition to raw records, batch by batch.

Batches of today's format are read in C where that is built (`schemas.native`); whatever else there
is, old formats and damage too, is read by aiokafka, whose checks and errors stand.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from struct import Struct
from typing import Any, Final

from aiokafka import TopicPartition as KafkaPartition
from aiokafka.codec import gzip_decode, lz4_decode, snappy_decode, zstd_decode
from aiokafka.consumer.fetcher import READ_UNCOMMITTED, PartitionRecords
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords

from schemas.native import IS_WANTED
from streams import native
from streams.records import RawRecord

IN_USE: Final = native.RECORDS_AVAILABLE and IS_WANTED

KEPT_HEADERS: Final = native.folding.Headers if native.IN_USE else None
"""The class of headers that are decoded where somebody looks; else they are tuples."""

_MAGIC: Final = 2
_SIZE: Final = Struct(">8xi")
_COUNT: Final = Struct(">57xi")
_HEADER_SIZE: Final = 61
_NO_CODEC: Final = 0
_CODECS: Final[Mapping[int, Callable[[Any], bytes]]] = {
    1: gzip_decode,
    2: snappy_decode,
    3: lz4_decode,
    4: zstd_decode,
}


class KeptRecords(MemoryRecords):  # type: ignore[misc]  # aiokafka has no types
    """Records that still know the bytes that they are read from."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.data = data


def can_be_unpacked(records: PartitionRecords) -> bool:
    """Whether `unpacked` says all that the records say by themselves."""
    return (
        isinstance(records._records, KeptRecords)  # noqa: SLF001  # see raw_fetching
        and records._isolation_level == READ_UNCOMMITTED  # noqa: SLF001  # see raw_fetching
        and records._check_crcs  # noqa: SLF001  # see raw_fetching
    )


def unpacked(source: KafkaPartition, records: PartitionRecords) -> Iterator[Iterable[RawRecord]]:
    """The records of each batch, from `next_fetch_offset` on, which is moved behind them.

    Raises what aiokafka raises over damage, and CorruptRecordException over a wrong checksum.
    """
    kept, place = records._records, 0  # noqa: SLF001  # see raw_fetching
    while kept.has_next():
        batch = kept.next_batch()
        end = place + _SIZE.size + _SIZE.unpack_from(kept.data, place)[0]
        if not batch.validate_crc():
            raise CorruptRecordException(f"Invalid CRC - {source}")
        if not batch.is_control_batch:
            first = records.next_fetch_offset
            found = _in_c(source, batch, memoryview(kept.data)[place:end], first)
            yield _by_aiokafka(source, batch, first) if found is None else found
        records.next_fetch_offset = batch.next_offset
        place = end


def _in_c(
    source: KafkaPartition, batch: Any, written: memoryview, first: int
) -> list[RawRecord] | None:
    """The records of a batch as it stands in the log; None where aiokafka must look at it."""
    if batch.magic != _MAGIC or len(written) < _HEADER_SIZE:
        return None
    section: Any = written[_HEADER_SIZE:]
    if batch.compression_type != _NO_CODEC:
        decode = _CODECS.get(batch.compression_type)
        if decode is None:
            return None
        section = decode(bytes(section))
    has_one_time = bool(batch.timestamp_type)
    found: list[RawRecord] | None = native.records.unpack(
        RawRecord,
        KEPT_HEADERS,
        *source,
        section,
        _COUNT.unpack_from(written)[0],
        batch.base_offset,
        batch.max_timestamp if has_one_time else batch.first_timestamp,
        has_one_time,
        first,
    )
    return found


def _by_aiokafka(source: KafkaPartition, batch: Any, first: int) -> Iterator[RawRecord]:
    topic, partition = source
    for record in batch:
        if record.offset >= first:
            first = record.offset + 1
            yield raw_record(topic, partition, source, record)


def raw_record(topic: str, partition: int, _source: KafkaPartition, record: Any) -> RawRecord:
    """What a record of aiokafka is here; a plain tuple, as this may run for each record."""
    return tuple.__new__(
        RawRecord,
        (
            topic,
            partition,
            record.offset,
            record.timestamp,
            record.key,
            record.value,
            tuple(record.headers),
        ),
    )
