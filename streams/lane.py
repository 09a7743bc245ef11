"""Lanes: each partition's own path through a worker, with back-pressure and its own watermark."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final, Protocol

import structlog

from streams.backlog import Backlog
from streams.records import RawRecord, TopicPartition

RECORD_BYTES: Final = 1_024
"""A record of more counts as several where they wait: memory is what is bounded."""

LANE_RECORDS: Final = 1_000
"""How many records of one partition may wait in memory; below half of it more are read.

Few, so that records are still in the cache of the processor when their work begins: the client
keeps what it has fetched as compressed bytes.
"""

WAITING_RECORDS: Final = 16_000
"""How many records of all partitions may wait before only lanes that are nearly idle get more."""

NEARLY_IDLE: Final = 250
"""A lane with fewer waiting records gets more in any case: each partition must go on."""

STOP_S: Final = 5.0
"""How long work may take to end when it is cancelled."""

log = structlog.get_logger(__name__)


class Lane(Protocol):
    """The path of one partition."""

    def offer(self, records: Sequence[RawRecord]) -> None:
        """Take records into work; what was taken before is left out."""
        ...

    @property
    def waiting(self) -> int:
        """How many records wait for their work to begin; large ones count as several."""
        ...

    @property
    def unfinished(self) -> int:
        """How many records are waiting or in work."""
        ...

    @property
    def oldest_ms(self) -> int | None:
        """When the oldest record was written that waits or is in work; None without any."""
        ...

    @property
    def committable(self) -> int | None:
        """The next offset that a restart must read; None before any work began."""
        ...

    @property
    def tasks(self) -> Sequence[asyncio.Task[None]]:
        """What is at work, or may be; first what holds up the offset that may be committed."""
        ...

    @property
    def failure(self) -> BaseException | None:
        """Why the lane stopped, when it stopped by itself: the worker must then stop too."""
        ...

    async def drain(self, deadline_s: float) -> None:
        """Let go of what waits, take nothing more, finish what is in work, for a bounded time.

        The rest is read again by the next owner.
        """
        ...

    async def stop(self) -> None:
        """End at once; what is unfinished stays unfinished.

        Work that does not end when it is cancelled is left behind after a while, as a failure: the
        process must end, since it could still change what others own by then.
        """
        ...


OpenLane = Callable[[TopicPartition, Callable[[], None]], Lane]
"""A new lane of a partition; it calls back whenever fewer of its records wait."""


def bytes_of(records: Sequence[RawRecord]) -> int:
    """How large the values of these records are."""
    return sum([len(record.value or b"") for record in records])


def above(offset: int, records: Sequence[RawRecord]) -> Sequence[RawRecord]:
    """The records that stand after `offset`, each once."""
    if not records or records[0].offset > offset:
        return records
    return [record for record in records if record.offset > offset]


class Lanes:
    """The lanes of all assigned partitions."""

    def __init__(self, open_lane: OpenLane) -> None:
        self._open_lane = open_lane
        self._lanes: dict[TopicPartition, Lane] = {}
        self._room = asyncio.Event()
        self._stuck: BaseException | None = None

    def offer(self, source: TopicPartition, records: Sequence[RawRecord]) -> None:
        """Give a partition's next records to its lane. Raises what a lane has stopped with.

        Whoever offers looks for room first.
        """
        lane = self._lanes.get(source)
        if lane is None:
            lane = self._lanes[source] = self._open_lane(source, self._room.set)
        if lane.failure is not None:
            raise lane.failure
        lane.offer(records)

    async def with_room(self, sources: Collection[TopicPartition]) -> list[TopicPartition]:
        """Those of the partitions whose lanes take more; waits until there is one.

        Raises what a lane has stopped with.
        """
        while True:
            self.raise_failure()
            waiting = sum(lane.waiting for lane in self._lanes.values())
            limit = LANE_RECORDS // 2 if waiting < WAITING_RECORDS else NEARLY_IDLE
            found = [source for source in sources if self._has_room(source, limit)]
            if found:
                return found
            self._room.clear()
            await self._room.wait()

    def committable(self) -> Mapping[TopicPartition, int]:
        """The offsets that may be committed now."""
        return {
            source: offset
            for source, lane in self._lanes.items()
            if (offset := lane.committable) is not None
        }

    def committable_of(self, source: TopicPartition) -> int | None:
        """The offset of one partition that may be committed; None before its work began."""
        lane = self._lanes.get(source)
        return None if lane is None else lane.committable

    def raise_failure(self) -> None:
        """Raise what a lane has stopped with, if one has."""
        if self._stuck is not None:
            raise self._stuck
        for lane in self._lanes.values():
            if lane.failure is not None:
                raise lane.failure

    @property
    def unfinished(self) -> int:
        """How many records are waiting or in work in all lanes."""
        return sum(lane.unfinished for lane in self._lanes.values())

    def tasks(self, source: TopicPartition) -> Sequence[asyncio.Task[None]]:
        """What is at work on a partition; nothing where none of its records is unfinished."""
        lane = self._lanes.get(source)
        return lane.tasks if lane is not None and lane.unfinished else ()

    def backlogs(self) -> Mapping[TopicPartition, Backlog]:
        """What waits or is in work, by partition."""
        return {
            source: Backlog(lane.unfinished, lane.oldest_ms) for source, lane in self._lanes.items()
        }

    async def drain(self, deadline_s: float) -> None:
        """Wait a bounded time for all lanes."""
        await asyncio.gather(*(lane.drain(deadline_s) for lane in self._lanes.values()))
        if self.unfinished:
            log.warning("lanes not drained", unfinished=self.unfinished, deadline_s=deadline_s)

    async def close(self, sources: Iterable[TopicPartition] | None = None) -> None:
        """Stop these lanes (all by default) and forget their progress.

        Another member owns them from now on.
        """
        closing = [
            lane
            for source in (list(self._lanes) if sources is None else list(sources))
            if (lane := self._lanes.pop(source, None)) is not None
        ]
        await asyncio.gather(*(lane.stop() for lane in closing))
        for lane in closing:
            self._stuck = self._stuck or lane.failure
        self._room.set()

    def _has_room(self, source: TopicPartition, limit: int) -> bool:
        lane = self._lanes.get(source)
        return lane is None or lane.waiting < limit
