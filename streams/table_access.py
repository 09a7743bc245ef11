"""Who may change the tables of a partition: one batch at a time, and CRITICAL ones first."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from schemas.envelope import Priority
from schemas.topics import priority_of
from streams.records import TopicPartition


class TableAccess:
    """One lock for each partition number, which lanes of several topics share."""

    def __init__(self) -> None:
        self._locks: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._urgent: Counter[int] = Counter()

    @asynccontextmanager
    async def held(self, source: TopicPartition) -> AsyncIterator[None]:
        """The tables of this partition are ours inside."""
        lock, number = self._locks[source.partition], source.partition
        if _is_urgent(source):
            self._urgent[number] += 1
            try:
                await lock.acquire()
            finally:
                self._urgent[number] -= 1
        else:
            await lock.acquire()
            while self._urgent[number]:
                # Whoever is urgent waits in the same line: it is passed on, and joined at its end.
                lock.release()
                await lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def is_wanted(self, source: TopicPartition) -> bool:
        """Whether somebody more urgent waits for what this one holds: it should soon let go."""
        return self._urgent[source.partition] > 0 and not _is_urgent(source)


def _is_urgent(source: TopicPartition) -> bool:
    return priority_of(source.topic) is Priority.CRITICAL
