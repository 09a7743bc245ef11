"""Lanes: each partition's own path through a worker, with back-pressure and its own watermark."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final

import structlog

from streams.processor import Process
from streams.records import RawRecord, TopicPartition
from streams.watermark import Watermark

LANE_RECORDS: Final = 1_000
"""How many records of one partition may wait in memory."""

BATCH_RECORDS: Final = 500
"""How many records of one partition are processed in one call at most."""

log = structlog.get_logger(__name__)


class Lane:
    """Records of one partition, processed in order, in batches of whatever waits."""

    def __init__(self, source: TopicPartition, process: Process) -> None:
        self._source = source
        self._process = process
        self._queue: asyncio.Queue[RawRecord] = asyncio.Queue(LANE_RECORDS)
        self._watermark = Watermark()
        self._is_stopped = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._task = asyncio.create_task(self._run(), name=f"lane {source}")
        self._task.add_done_callback(self._release_offers)

    async def offer(self, record: RawRecord) -> None:
        """Take a record into work; waits while the lane is full.

        A repeat of a taken record is left out.
        """
        if self._watermark.begin(record.offset):
            self._idle.clear()
            await self._queue.put(record)

    @property
    def committable(self) -> int | None:
        """The next offset that a restart must read."""
        return self._watermark.committable

    @property
    def unfinished(self) -> int:
        """How many records are waiting or in work."""
        return self._watermark.unfinished

    @property
    def failure(self) -> BaseException | None:
        """Why the lane stopped, when it stopped by itself: the worker must then stop too."""
        if not self._task.done() or self._is_stopped:
            return None
        if self._task.cancelled():
            return asyncio.CancelledError(f"lane {self._source} was cancelled from within")
        return self._task.exception()

    async def drain(self, deadline_s: float) -> None:
        """Wait until everything taken is finished, for a bounded time.

        What is not is read again by the next owner.
        """
        waiting = asyncio.create_task(self._idle.wait())
        await asyncio.wait(
            {waiting, self._task}, timeout=deadline_s, return_when=asyncio.FIRST_COMPLETED
        )
        waiting.cancel()

    async def stop(self) -> None:
        """End at once; what is unfinished stays unfinished."""
        self._is_stopped = True
        self._task.cancel()
        await asyncio.wait({self._task})

    def _release_offers(self, task: asyncio.Task[None]) -> None:
        """A lane that ended takes nothing more: nobody may wait for room in it."""
        while not self._queue.empty():
            self._queue.get_nowait()

    async def _run(self) -> None:
        while True:
            records = [await self._queue.get()]
            while len(records) < BATCH_RECORDS and not self._queue.empty():
                records.append(self._queue.get_nowait())
            await self._process.process(self._source, records)
            for record in records:
                self._watermark.finish(record.offset)
            if self._watermark.unfinished == 0:
                self._idle.set()


class Lanes:
    """The lanes of all assigned partitions."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._lanes: dict[TopicPartition, Lane] = {}

    async def offer(self, record: RawRecord) -> None:
        """Give a record to its partition's lane. Raises what a lane has stopped with."""
        lane = self._lanes.get(record.source)
        if lane is None:
            lane = self._lanes[record.source] = Lane(record.source, self._process)
        if lane.failure is not None:
            raise lane.failure
        await lane.offer(record)

    def committable(self) -> Mapping[TopicPartition, int]:
        """The offsets that may be committed now."""
        return {
            source: offset
            for source, lane in self._lanes.items()
            if (offset := lane.committable) is not None
        }

    def raise_failure(self) -> None:
        """Raise what a lane has stopped with, if one has."""
        for lane in self._lanes.values():
            if lane.failure is not None:
                raise lane.failure

    @property
    def unfinished(self) -> int:
        """How many records are waiting or in work in all lanes."""
        return sum(lane.unfinished for lane in self._lanes.values())

    async def drain(self, deadline_s: float) -> None:
        """Wait a bounded time for all lanes."""
        await asyncio.gather(*(lane.drain(deadline_s) for lane in self._lanes.values()))
        if self.unfinished:
            log.warning("lanes not drained", unfinished=self.unfinished, deadline_s=deadline_s)

    async def close(self, sources: Iterable[TopicPartition] | None = None) -> None:
        """Stop these lanes (all by default) and forget their progress.

        Another member owns them from now on.
        """
        for source in list(self._lanes) if sources is None else list(sources):
            lane = self._lanes.pop(source, None)
            if lane is not None:
                await lane.stop()
