"""Reading what waits: the last letter of each key in `retry.<app>` and `dlq.<app>`."""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence, Set
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

import structlog

from schemas.topics import dead_letter_topic, retry_topic
from streams.errors import NotALetter
from streams.log import PartitionFetcher
from streams.parking.letter import SUBSCRIPTION, Letter
from streams.parking.sequences import Entry
from streams.receipt import Acknowledgement
from streams.records import Origin, RawRecord, TopicPartition, first_header

FETCH_RECORDS: Final = 5_000
FETCH_S: Final = 0.5

VALUES_AT_ONCE: Final = 2_000
"""How many values are read ahead with the one that is due."""

HeldBack = tuple[str, bytes, Origin]
"""A projection, a key of its table, and where the event was first read."""

OpenFetcher = Callable[[], PartitionFetcher]

log = structlog.get_logger(__name__)


async def load_entries(
    open_fetcher: OpenFetcher, app: str, group: str, partitions: Collection[int]
) -> list[Entry]:
    """All that one subscription has waiting in these partitions, in the order of its offsets.

    Raises InfrastructureError.
    """
    letters: dict[bytes, Entry] = {}
    for topic in (retry_topic(app), dead_letter_topic(app)):
        # A letter that stands in both was about to move to the dead letters.
        letters.update(await _last_of_each(open_fetcher, topic, sorted(partitions), group))
    return sorted(letters.values(), key=lambda entry: entry.letter.record.offset)


async def held_back(
    open_fetcher: OpenFetcher, app: str, group: str, partitions: Collection[int]
) -> Set[HeldBack]:
    """Which events tables must not have, because they have failed or wait behind one that has.

    Raises InfrastructureError.
    """
    entries = await load_entries(open_fetcher, app, group, partitions)
    records = [(entry.letter.handler, entry.letter.record) for entry in entries]
    return {(handler, record.key or b"", record.origin) for handler, record in records}


async def load_values(open_fetcher: OpenFetcher, entries: Iterable[Entry]) -> None:
    """Read the bytes of entries again that were left on Kafka. Raises InfrastructureError."""
    bare = [it for it in entries if it.letter.record.value is None and it.kept_at is not None]
    by_partition: dict[TopicPartition, dict[int, Entry]] = {}
    for entry in bare[:VALUES_AT_ONCE]:
        assert entry.kept_at is not None
        topic, partition, offset = entry.kept_at
        by_partition.setdefault(TopicPartition(topic, partition), {})[offset] = entry
    for source, wanted in by_partition.items():
        await _load_values_of(open_fetcher, source, wanted)


async def _load_values_of(
    open_fetcher: OpenFetcher, source: TopicPartition, wanted: dict[int, Entry]
) -> None:
    last = max(wanted)
    async for records in _read(open_fetcher, {source: min(wanted)}, {source: last + 1}):
        for record in records:
            entry = wanted.get(record.offset)
            if entry is not None:
                whole = entry.letter.record._replace(value=record.value)
                entry.letter = replace(entry.letter, record=whole)


async def _last_of_each(
    open_fetcher: OpenFetcher, topic: str, partitions: Sequence[int], group: str
) -> dict[bytes, Entry]:
    starts = {TopicPartition(topic, number): 0 for number in partitions}
    found: dict[bytes, Entry] = {}
    async for records in _read(open_fetcher, starts, None):
        for record in records:
            key = record.key or b""
            if record.value is None:
                found.pop(key, None)
            elif first_header(record.headers, SUBSCRIPTION) == group.encode():
                _take(found, key, record)
    return found


def _take(found: dict[bytes, Entry], key: bytes, record: RawRecord) -> None:
    try:
        letter = Letter.decode(record)
    except NotALetter as error:
        log.warning("left alone", error=str(error))
        return
    found[key] = Entry(letter, Acknowledgement(record.topic, record.partition, record.offset))


async def _read(
    open_fetcher: OpenFetcher,
    starts: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int] | None,
) -> AsyncIterator[Sequence[RawRecord]]:
    """All records from `starts` to `ends`, or else to where the partitions end now."""
    if not starts:
        return
    async with _started(open_fetcher, starts) as fetcher:
        until = ends or await fetcher.ends(list(starts))
        at = dict(starts)
        while pending := [source for source in starts if at[source] < until[source]]:
            fetched = await fetcher.fetch(pending, FETCH_RECORDS, FETCH_S)
            for source, records in fetched.items():
                at[source] = records[-1].offset + 1
                yield records
            if not fetched:
                # Compaction may have removed the last records: then it stands behind them.
                for source in pending:
                    at[source] = max(at[source], await fetcher.position(source))


@asynccontextmanager
async def _started(
    open_fetcher: OpenFetcher, starts: Mapping[TopicPartition, int]
) -> AsyncIterator[PartitionFetcher]:
    fetcher = open_fetcher()
    try:
        await fetcher.start(starts)
        yield fetcher
    finally:
        await fetcher.close()
