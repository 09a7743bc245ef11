"""Makes a consumer of aiokafka give raw records of ours instead of its own.

Its own record costs as much as reading the bytes that it is made from, and nobody needs it. What
this leans on is not public: the version is pinned, and tests/unit/streams/test_raw_fetching.py and
the contract suites say what must hold.
"""

from collections import OrderedDict
from functools import partial
from itertools import islice
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.consumer.fetcher import FetchResult

from streams.records import RawRecord


def give_raw_records(consumer: AIOKafkaConsumer) -> None:
    """From now on `getmany` returns lists of RawRecord; for a consumer that was just started."""
    fetcher: Any = consumer._fetcher  # noqa: SLF001  # see above
    assert not fetcher._records, "nothing was fetched yet"  # noqa: SLF001  # see above
    fetcher._records = _RawResults()  # noqa: SLF001  # see above


class _RawResults(OrderedDict[KafkaPartition, Any]):
    """What was fetched, by partition; each result is changed when it is put here."""

    def __setitem__(self, source: KafkaPartition, result: Any) -> None:
        if type(result) is FetchResult:
            # aiokafka asks for exactly this class: it cannot be derived from.
            records = result._partition_records  # noqa: SLF001  # see above
            records._consumer_record = partial(_raw_record, *source)  # noqa: SLF001  # see above
            result.getall = partial(_get_all, result)
        super().__setitem__(source, result)


def _raw_record(topic: str, partition: int, _source: KafkaPartition, record: Any) -> RawRecord:
    """A plain tuple, without a call of its constructor: this runs for each record that is read."""
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


def _get_all(result: Any, max_records: int | None = None) -> list[RawRecord]:
    """See FetchResult.getall: the records are taken in one go, not one by one."""
    if not result.check_assignment(result._topic_partition) or not result.has_more():  # noqa: SLF001  # see above
        return []
    taken: list[RawRecord] = list(islice(result._partition_records, max_records))  # noqa: SLF001  # see above
    result._update_position()  # noqa: SLF001  # see above
    if max_records is None or len(taken) < max_records:
        result._partition_records = None  # noqa: SLF001  # see above
    return taken
