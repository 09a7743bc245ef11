"""Recovery of tables from their changelogs, before any record of the new assignment is taken.

It reads up to where the changelogs ended when it began: what a table shows was acknowledged before.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, NamedTuple, Protocol

import structlog

from streams.errors import PartitionMismatch
from streams.log import PartitionFetcher
from streams.records import RawRecord, TopicPartition
from streams.runtime.errors import RecoveryOverdue
from streams.table import Change, TablePartition

DEADLINE_S: Final = 600.0
"""How long a recovery may take before it is given up."""

FETCH_RECORDS: Final = 5_000
FETCH_S: Final = 0.5
LOG_EVERY_S: Final = 5.0

log = structlog.get_logger(__name__)


class RecoverableTable(Protocol):
    """What a recovery needs of a table."""

    @property
    def changelog(self) -> str:
        """The topic that it is recovered from."""
        ...

    def partition(self, number: int) -> TablePartition:
        """One partition, which takes its changes."""
        ...

    def retain(self, partitions: Collection[int]) -> None:
        """Forget all others."""
        ...


class RecoveryProgress(NamedTuple):
    """How far a partition of a table is: changelog offsets that were passed, of how many."""

    table: str
    partition: int
    done: int
    total: int


class _Recovering:
    """One partition on its way from `start` to `end`."""

    def __init__(self, name: str, partition: TablePartition, start: int, end: int) -> None:
        self._name = name
        self._partition = partition
        self._start = start
        self._end = end
        self.at = start

    @property
    def is_done(self) -> bool:
        """Whether the end is reached."""
        return self.at >= self._end

    def take(self, records: Sequence[RawRecord]) -> None:
        """Apply the next records, which may go beyond the end."""
        if records:
            self.reach(records[-1].offset + 1, ((it.key, it.value) for it in records))

    def reach(self, offset: int, changes: Iterable[Change] = ()) -> None:
        """All records below `offset` have been seen; these were the last of them."""
        self.at = offset
        self._partition.recover(changes, offset)

    @property
    def progress(self) -> RecoveryProgress:
        """How far it is."""
        done = min(self.at, self._end) - self._start
        total = self._end - self._start
        return RecoveryProgress(self._name, self._partition.number, done, total)


class TableRecovery:
    """Brings tables to the end of their changelogs; one at a time."""

    def __init__(
        self,
        open_fetcher: Callable[[], PartitionFetcher],
        clock: Callable[[], float] = time.monotonic,
        deadline_s: float = DEADLINE_S,
    ) -> None:
        """`open_fetcher`: a new one, not started. `clock`: in seconds, never set back."""
        self._open_fetcher = open_fetcher
        self._clock = clock
        self._deadline_s = deadline_s
        self._recovering: Mapping[TopicPartition, _Recovering] = {}
        self._number = 0

    def abandon(self) -> None:
        """The partitions are asked back: a recovery in hand applies nothing more."""
        self._number += 1

    @property
    def progress(self) -> Sequence[RecoveryProgress]:
        """How far each partition of the recovery in hand is, or of the last one."""
        return [recovering.progress for recovering in self._recovering.values()]

    async def recover(
        self, tables: Mapping[str, RecoverableTable], partitions: Collection[int]
    ) -> None:
        """Recover these partitions of all tables, and let go of all others.

        Raises RecoveryOverdue, PartitionMismatch where a changelog has not all these partitions,
        StoreFailed, and what the fetcher raises. What was recovered until then is kept.
        """
        began_at = self._clock()
        for table in tables.values():
            table.retain(partitions)
        wanted = {
            TopicPartition(table.changelog, number): (name, table.partition(number))
            for name, table in tables.items()
            for number in sorted(partitions)
        }
        if not wanted:
            self._recovering = {}
            return
        async with self._fetching(wanted) as fetcher:
            await self._read(fetcher, began_at, self._number)
        log.info(
            "tables recovered",
            records=sum(it.done for it in self.progress),
            seconds=round(self._clock() - began_at, 3),
        )

    @asynccontextmanager
    async def _fetching(
        self, wanted: Mapping[TopicPartition, tuple[str, TablePartition]]
    ) -> AsyncIterator[PartitionFetcher]:
        """A fetcher that stands where the tables end; those that cannot go on there begin anew."""
        while True:
            starts = {source: partition.next_offset for source, (_, partition) in wanted.items()}
            fetcher = self._open_fetcher()
            try:
                await fetcher.start(starts)
                ends = await fetcher.ends(list(starts))
                if not self._clear_beyond(ends, wanted):
                    self._recovering = {
                        source: _Recovering(name, partition, starts[source], ends[source])
                        for source, (name, partition) in wanted.items()
                    }
                    yield fetcher
                    return
            finally:
                await fetcher.close()

    def _clear_beyond(
        self,
        ends: Mapping[TopicPartition, int],
        wanted: Mapping[TopicPartition, tuple[str, TablePartition]],
    ) -> bool:
        """Clear partitions that know more than their changelog has: it is not the one they knew."""
        absent = [str(source) for source in wanted if source not in ends]
        if absent:
            raise PartitionMismatch(f"no changelog partition {', '.join(absent)}")
        foreign = [source for source in wanted if wanted[source][1].next_offset > ends[source]]
        for source in foreign:
            name, partition = wanted[source]
            log.error(
                "table begun anew: its changelog is shorter than it", table=name, at=str(source)
            )
            partition.clear()
        return bool(foreign)

    async def _read(self, fetcher: PartitionFetcher, began_at: float, number: int) -> None:
        said_at = began_at
        while pending := [source for source, it in self._recovering.items() if not it.is_done]:
            now = self._clock()
            if now - began_at > self._deadline_s:
                raise RecoveryOverdue(self._standing(now - began_at))
            if now - said_at > LOG_EVERY_S:
                said_at = now
                log.info("recovering tables", standing=self._standing(now - began_at))
            fetched = await fetcher.fetch(pending, FETCH_RECORDS, FETCH_S)
            if number != self._number:
                raise asyncio.CancelledError
            for source, records in fetched.items():
                self._recovering[source].take(records)
            if not fetched:
                await self._pass_holes(fetcher, pending)

    async def _pass_holes(
        self, fetcher: PartitionFetcher, pending: Sequence[TopicPartition]
    ) -> None:
        """Compaction may have removed the last records: then the fetcher stands behind them."""
        for source in pending:
            recovering = self._recovering[source]
            position = await fetcher.position(source)
            if position > recovering.at:
                recovering.reach(position)

    def _standing(self, seconds: float) -> str:
        behind = [it for it in self.progress if it.done < it.total]
        places = ", ".join(f"{it.table}/{it.partition} at {it.done} of {it.total}" for it in behind)
        return f"after {seconds:.0f} s: {places}"
