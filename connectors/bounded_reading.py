"""Reads partitions up to offsets that were fixed beforehand: a log that grows is read to an end."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Final

from streams.errors import BrokerUnavailable
from streams.log import PartitionFetcher
from streams.records import RawRecord, TopicPartition

READ_AT_ONCE: Final = 4_000
READ_TIMEOUT_S: Final = 0.5
SILENT_READS: Final = 60
"""After so many reads without a record, while records are due, the broker counts as away."""


async def read_until(
    fetcher: PartitionFetcher,
    starts: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
    at_once: int = READ_AT_ONCE,
) -> AsyncGenerator[Mapping[TopicPartition, Sequence[RawRecord]], None]:
    """The records from each start to below each end, in order per partition.

    `fetcher` was started at `starts`. Raises BrokerUnavailable when nothing comes any more.
    """
    due = [source for source, end in ends.items() if starts.get(source, 0) < end]
    silent = 0
    while due:
        fetched = await fetcher.fetch(due, at_once, READ_TIMEOUT_S)
        silent = 0 if fetched else silent + 1
        if silent > SILENT_READS:
            raise BrokerUnavailable(f"no records of {', '.join(map(str, due))} for a long time")
        if fetched:
            yield {source: _below(records, ends[source]) for source, records in fetched.items()}
        # What compaction has removed at the end is passed by the position alone.
        asked = fetched or due
        over = {source for source in asked if await fetcher.position(source) >= ends[source]}
        due = [source for source in due if source not in over]


def _below(records: Sequence[RawRecord], end: int) -> Sequence[RawRecord]:
    if not records or records[-1].offset < end:
        return records
    return [record for record in records if record.offset < end]
