"""Reads a topic from its beginning to where it ends now, unless it is too long."""

from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from connectors.bounded_reading import read_until
from streams.log import PartitionFetcher, RecordReader
from streams.records import RawRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeTopic:
    """What a topic holds, in the order of each partition; None for one that is too long."""

    length: int
    records: Sequence[RawRecord] | None


async def read_whole(
    reader: RecordReader, fetchers: Callable[[], PartitionFetcher], most_records: int
) -> WholeTopic:
    """Read the reader's topics; it is closed then. `length` counts what compaction removed, too.

    Raises BrokerUnavailable, TopicMissing.
    """
    try:
        await reader.start()
        starts, ends = await reader.beginning(), await reader.end()
    finally:
        await reader.close()
    due = {source: start for source, start in starts.items() if start < ends[source]}
    length = sum(ends[source] - start for source, start in due.items())
    if length > most_records:
        return WholeTopic(length=length, records=None)
    records: list[RawRecord] = []
    if due:
        fetcher = fetchers()
        try:
            await fetcher.start(due)
            bounds = {source: ends[source] for source in due}
            async with aclosing(read_until(fetcher, due, bounds)) as reading:
                async for read in reading:
                    records += [record for part in read.values() for record in part]
        finally:
            await fetcher.close()
    return WholeTopic(length=length, records=records)
