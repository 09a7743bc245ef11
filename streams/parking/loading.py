"""Reading what waits: the last letter of each key in `retry.<app>` and `dlq.<app>`."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence, Set
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

import structlog

from schemas.topics import dead_letter_topic, retry_topic
from streams.errors import NotALetter
from streams.log import PartitionFetcher
from streams.parking.letter import READ, SUBSCRIPTION, Letter
from streams.parking.sequences import BEYOND, Entry
from streams.projection import Projection
from streams.receipt import Acknowledgement
from streams.records import Origin, RawRecord, TopicPartition, first_header

FETCH_RECORDS: Final = 5_000
FETCH_S: Final = 0.5

VALUES_AT_ONCE: Final = 2_000
"""How many values are read ahead with the one that is due."""

HELD_BYTES: Final = 32 * 1024 * 1024
"""How large the values in memory may become; those beyond it are read again when they are due."""

AHEAD_BYTES: Final = 8 * 1024 * 1024
"""How large the values may become that are read ahead with the one that is due."""

OpenFetcher = Callable[[], PartitionFetcher]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Waiting:
    """What one subscription has waiting, in the order of its offsets.

    `moved` are letters that stand in the dead letters as well: they were about to move there.
    """

    entries: Sequence[Entry]
    moved: Sequence[Letter]


@dataclass(frozen=True, slots=True)
class HeldBack:
    """What tables must not have, because it has failed or waits behind what has.

    `folded_from`: by projection (READ: every one), key and partition, the offset from which on
    nothing is folded; `rekeyed`: events, by projection and where they were first read, that are to
    be folded under another key, later.
    """

    folded_from: Mapping[tuple[str, bytes, TopicPartition], int]
    rekeyed: Set[tuple[str, Origin]]

    def holds(self, projection: Projection, record: RawRecord) -> bool:
        """Whether a record, as it was first read, must be left out."""
        if projection.key is not None:
            places = ((projection.name, record.origin), (READ, record.origin))
            return any(place in self.rekeyed for place in places)
        key = record.key or b""
        return any(
            record.offset >= self.folded_from.get((name, key, record.source), BEYOND)
            for name in (projection.name, READ)
        )


async def load_waiting(
    open_fetcher: OpenFetcher, app: str, group: str, partitions: Collection[int]
) -> Waiting:
    """All that one subscription has waiting in these partitions. Raises InfrastructureError.

    The bytes of records beyond HELD_BYTES are left where they are.
    """
    room = _Room(HELD_BYTES)
    topics = (retry_topic(app), dead_letter_topic(app))
    retried, parked = [
        await _last_of_each(open_fetcher, topic, sorted(partitions), group, room)
        for topic in topics
    ]
    entries = sorted({**retried, **parked}.values(), key=lambda entry: entry.letter.record.offset)
    return Waiting(entries, [retried[key].letter for key in retried.keys() & parked.keys()])


async def load_entries(
    open_fetcher: OpenFetcher, app: str, group: str, partitions: Collection[int]
) -> Sequence[Entry]:
    """The entries of `load_waiting`."""
    return (await load_waiting(open_fetcher, app, group, partitions)).entries


async def held_back(
    open_fetcher: OpenFetcher, app: str, group: str, partitions: Collection[int]
) -> HeldBack:
    """What waits, for who builds tables anew. Raises InfrastructureError."""
    folded_from: dict[tuple[str, bytes, TopicPartition], int] = {}
    rekeyed: set[tuple[str, Origin]] = set()
    for entry in await load_entries(open_fetcher, app, group, partitions):
        handler, record = entry.letter.handler, entry.letter.record
        place = (handler, record.key or b"", record.source)
        folded_from[place] = min(record.offset, folded_from.get(place, BEYOND))
        rekeyed.add((handler, record.origin))
    return HeldBack(folded_from, rekeyed)


async def load_values(open_fetcher: OpenFetcher, entries: Sequence[Entry]) -> None:
    """Read the bytes of entries again that were left on Kafka: of the first, and some ahead.

    Raises InfrastructureError.
    """
    bare = [it for it in entries if it.letter.record.value is None and it.kept_at is not None]
    by_partition: dict[TopicPartition, dict[int, Entry]] = {}
    for entry in bare[:VALUES_AT_ONCE]:
        assert entry.kept_at is not None
        topic, partition, offset = entry.kept_at
        by_partition.setdefault(TopicPartition(topic, partition), {})[offset] = entry
    for source, wanted in by_partition.items():
        await _load_values_of(open_fetcher, source, wanted, entries[0])


async def _load_values_of(
    open_fetcher: OpenFetcher, source: TopicPartition, wanted: dict[int, Entry], due: Entry
) -> None:
    last, left = max(wanted), AHEAD_BYTES
    async for records in _read(open_fetcher, {source: min(wanted)}, {source: last + 1}):
        for record in records:
            entry = wanted.get(record.offset)
            # One that was tried stands behind those that wait for it.
            if entry is not None and (left > 0 or entry is due):
                left -= len(record.value or b"")
                whole = entry.letter.record._replace(value=record.value)
                entry.letter = replace(entry.letter, record=whole)


class _Room:
    """How many bytes may still be held."""

    def __init__(self, left: int) -> None:
        self._left = left

    def takes(self, value: bytes) -> bool:
        """Whether there is room for it, which is taken then."""
        if len(value) > self._left:
            return False
        self._left -= len(value)
        return True

    def give_back(self, entry: Entry) -> None:
        """The letter has ended, or another one has taken its place."""
        self._left += len(entry.letter.record.value or b"")


async def _last_of_each(
    open_fetcher: OpenFetcher, topic: str, partitions: Sequence[int], group: str, room: _Room
) -> dict[bytes, Entry]:
    starts = {TopicPartition(topic, number): 0 for number in partitions}
    found: dict[bytes, Entry] = {}
    async for records in _read(open_fetcher, starts, None):
        for record in records:
            key = record.key or b""
            if key in found:
                room.give_back(found.pop(key))
            if record.value is None:
                continue
            if first_header(record.headers, SUBSCRIPTION) == group.encode():
                _take(found, key, record, room)
    return found


def _take(found: dict[bytes, Entry], key: bytes, record: RawRecord, room: _Room) -> None:
    try:
        letter = Letter.decode(record)
    except NotALetter as error:
        log.warning("left alone", error=str(error))
        return
    if not room.takes(record.value or b""):
        letter = replace(letter, record=letter.record._replace(value=None))
    found[key] = Entry(letter, Acknowledgement(record.topic, record.partition, record.offset))


async def _read(
    open_fetcher: OpenFetcher,
    starts: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int] | None,
) -> AsyncIterator[Sequence[RawRecord]]:
    """All records from `starts` to `ends`, and no further than where the partitions end now."""
    if not starts:
        return
    async with _started(open_fetcher, starts) as fetcher:
        known = await fetcher.ends(list(starts))
        until = known if ends is None else {it: min(ends[it], known[it]) for it in starts}
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
