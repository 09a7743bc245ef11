"""Makes a consumer of aiokafka give raw records of ours instead of its own.

Its own record costs as much as reading the bytes that it is made from, and nobody needs it. What
this leans on is not public: the version is pinned, and tests/unit/streams/test_raw_fetching.py and
the contract suites say what must hold.
"""

from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from functools import partial
from itertools import chain, islice
from typing import Any
from weakref import proxy

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.consumer import fetcher as client
from aiokafka.consumer.fetcher import FetchResult

from streams.kafka import record_batches
from streams.kafka.errors import kafka_errors
from streams.kafka.record_batches import KeptRecords, can_be_unpacked, raw_record, unpacked
from streams.records import RawRecord, TopicPartition


def give_raw_records(consumer: AIOKafkaConsumer) -> None:
    """From now on `getmany` returns lists of RawRecord; for a consumer that was just started."""
    fetcher: Any = consumer._fetcher  # noqa: SLF001  # see above
    assert not fetcher._records, "nothing was fetched yet"  # noqa: SLF001  # see above
    if record_batches.IN_USE:
        # For every consumer of this process: a class that does the same and keeps the bytes.
        client.MemoryRecords = KeptRecords
    fetcher._records = _RawResults()  # noqa: SLF001  # see above


async def take_records(
    consumer: AIOKafkaConsumer,
    max_records: int,
    timeout_s: float,
    sources: Collection[TopicPartition] = (),
) -> Mapping[TopicPartition, list[RawRecord]]:
    """What a consumer that gives raw records has fetched, of these partitions or of all.

    Empty after `timeout_s` without any.
    """
    with kafka_errors("reading"):
        fetched = await consumer.getmany(
            *(KafkaPartition(*source) for source in sources),
            timeout_ms=int(timeout_s * 1_000),
            max_records=max_records,
        )
    return {TopicPartition(*source): records for source, records in fetched.items()}


class _RawResults(OrderedDict[KafkaPartition, Any]):
    """What was fetched, by partition; each result is changed when it is put here.

    Nothing of ours in a result holds the result: its bytes, often a megabyte, go when it goes from
    here. In a cycle they would stay until cycles are looked for, which may be after millions of
    records (streams/runtime/collecting.py); aiokafka's own, of records that are not taken to the
    end, is left where they are not unpacked.
    """

    def __setitem__(self, source: KafkaPartition, result: Any) -> None:
        if type(result) is FetchResult:
            # aiokafka asks for exactly this class: it cannot be derived from.
            records = result._partition_records  # noqa: SLF001  # see above
            if can_be_unpacked(records):
                # Reads the same bytes, is not needed, and holds the records that hold it.
                records._records_iterator = None  # noqa: SLF001  # see above
                result.getall = _Unpacked(proxy(result), source).take
            else:
                records._consumer_record = partial(raw_record, *source)  # noqa: SLF001  # see above
                result.getall = partial(_get_all, proxy(result))
        super().__setitem__(source, result)


def _get_all(result: Any, max_records: int | None = None) -> list[RawRecord]:
    """See FetchResult.getall: the records are taken in one go, not one by one."""
    if not result.check_assignment(result._topic_partition) or not result.has_more():  # noqa: SLF001  # see above
        return []
    taken: list[RawRecord] = list(islice(result._partition_records, max_records))  # noqa: SLF001  # see above
    result._update_position()  # noqa: SLF001  # see above
    if max_records is None or len(taken) < max_records:
        result._partition_records = None  # noqa: SLF001  # see above
    return taken


class _Unpacked:
    """The records of one result, batch by batch; takes the place of its `getall`."""

    def __init__(self, result: Any, source: KafkaPartition) -> None:
        """`result` is a weak proxy: the result holds this."""
        self._result = result
        self._records = result._partition_records  # noqa: SLF001  # see above
        self._left: Iterator[RawRecord] = chain.from_iterable(unpacked(source, self._records))

    def take(self, max_records: int | None = None) -> list[RawRecord]:
        """See FetchResult.getall."""
        result = self._result
        if not result.check_assignment(result._topic_partition) or not result.has_more():  # noqa: SLF001  # see above
            return []
        try:
            taken = list(islice(self._left, max_records))
        except BaseException:
            # What stands behind damage is not given as if it were not there.
            self._left = iter(())
            raise
        is_last = max_records is None or len(taken) < max_records
        if taken and not is_last:
            self._records.next_fetch_offset = taken[-1].offset + 1
        result._update_position()  # noqa: SLF001  # see above
        if is_last:
            result._partition_records = None  # noqa: SLF001  # see above
        return taken
