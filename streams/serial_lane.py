"""The lane of most subscriptions: one batch of a partition at a time."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from streams.errors import LaneStopped
from streams.lane import RECORD_BYTES, STOP_S, above, bytes_of
from streams.processor import Process
from streams.records import RawRecord, TopicPartition
from streams.turns import Pace
from streams.watermark import Watermark

LARGEST_BATCH: Final = 8_000
"""How many records of one partition are processed in one call at most.

The more there are, the fewer records a table writes to its changelog: one for each changed key.
"""

LARGEST_BATCH_BYTES: Final = 16 * 1024 * 1024
"""How large the values of one call's records may become before no more are given."""

BATCH_S: Final = 0.5
"""How long a call may take before the next one gets fewer records.

What a lane has in work when its partition is taken away is finished first, or repeated.
"""


class SerialLane:
    """Records of one partition, processed in order, in batches of whatever waits."""

    def __init__(
        self, process: Process, pace: Pace, source: TopicPartition, on_room: Callable[[], None]
    ) -> None:
        self._source = source
        self._process = process
        self._pace = pace
        self._on_room = on_room
        self._fetched: deque[tuple[Sequence[RawRecord], int]] = deque()
        self._waiting = 0
        self._waiting_bytes = 0
        self._in_work = 0
        self._bytes_in_work = 0
        self._oldest_in_work_ms = 0
        self._begun: list[int] = []
        self._began = 0.0
        self._taken = -1
        self._batch = _BatchSize()
        self._watermark = Watermark()
        self._is_draining = False
        self._is_stopped = False
        self._arrived = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task = asyncio.create_task(self._run(), name=f"lane {source}")
        self._task.add_done_callback(lambda _: on_room())

    def offer(self, records: Sequence[RawRecord]) -> None:
        """See Lane."""
        new = above(self._taken, records)
        if new and not self._is_draining:
            self._taken = new[-1].offset
            size = bytes_of(new)
            self._fetched.append((new, size))
            self._waiting += len(new)
            self._waiting_bytes += size
            self._idle.clear()
            self._arrived.set()

    @property
    def waiting(self) -> int:
        """See Lane."""
        return max(self._waiting, self._waiting_bytes // RECORD_BYTES)

    @property
    def unfinished(self) -> int:
        """See Lane."""
        return self._waiting + self._in_work

    @property
    def oldest_ms(self) -> int | None:
        """See Lane."""
        if self._in_work:
            return self._oldest_in_work_ms
        return self._fetched[0][0][0].timestamp_ms if self._fetched else None

    @property
    def committable(self) -> int | None:
        """See Lane."""
        return self._watermark.committable

    @property
    def tasks(self) -> Sequence[asyncio.Task[None]]:
        """See Lane."""
        return (self._task,)

    @property
    def failure(self) -> BaseException | None:
        """See Lane."""
        if self._is_stopped:
            return None if self._task.done() else LaneStopped(f"lane {self._source} does not end")
        if not self._task.done():
            return None
        if self._task.cancelled():
            return LaneStopped(f"lane {self._source} was cancelled from within")
        return self._task.exception()

    async def drain(self, deadline_s: float) -> None:
        """See Lane."""
        self._is_draining = True
        self._fetched.clear()
        self._waiting = self._waiting_bytes = 0
        if not self._in_work:
            return
        waiting = asyncio.create_task(self._idle.wait())
        await asyncio.wait(
            {waiting, self._task}, timeout=deadline_s, return_when=asyncio.FIRST_COMPLETED
        )
        waiting.cancel()

    async def stop(self) -> None:
        """See Lane."""
        self._is_stopped = True
        self._task.cancel()
        await asyncio.wait({self._task}, timeout=STOP_S)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._is_stopped:
            if not self._waiting:
                self._idle.set()
                self._arrived.clear()
                await self._arrived.wait()
                continue
            await self._pace.turn(self._source.topic, self._fetched[0][0][0].timestamp_ms)
            self._began = loop.time()
            records = self._more()
            if not records or self._is_stopped:
                continue
            await self._process.process(self._source, records, self._more)
            for first in self._begun:
                self._watermark.finish(first)
            self._begun.clear()
            in_work, self._in_work, self._bytes_in_work = self._in_work, 0, 0
            self._batch.took(in_work, loop.time() - self._began)

    def _more(self) -> Sequence[RawRecord]:
        """The next records of a batch, as they were fetched together; see More."""
        room = self._batch.records - self._in_work
        if not self._fetched or room <= 0 or self._is_large_or_old():
            return ()
        records, size = self._fetched.popleft()
        if len(records) > room:
            # Of a long run the head is measured: its tail would be measured at every cut.
            records, left, whole = records[:room], records[room:], size
            size = bytes_of(records)
            self._fetched.appendleft((left, whole - size))
        self._watermark.begin(records[0].offset, records[-1].offset)
        self._begun.append(records[0].offset)
        if not self._in_work:
            self._oldest_in_work_ms = records[0].timestamp_ms
        self._waiting -= len(records)
        self._waiting_bytes -= size
        self._in_work += len(records)
        self._bytes_in_work += size
        self._on_room()
        return records

    def _is_large_or_old(self) -> bool:
        """Whether a batch that has begun holds enough, or has lasted long enough."""
        if not self._in_work:
            return False
        lasted = asyncio.get_running_loop().time() - self._began
        return self._bytes_in_work > LARGEST_BATCH_BYTES or lasted > BATCH_S


class _BatchSize:
    """How many records to process in one call: many when they are quick, one when it is slow."""

    def __init__(self) -> None:
        self.records = 64

    def took(self, records: int, seconds: float) -> None:
        """A call with so many records took so long, waiting included."""
        if seconds > BATCH_S:
            self.records = max(1, min(self.records, records) // 2)
        elif records == self.records and seconds < BATCH_S / 2:
            self.records = min(LARGEST_BATCH, 2 * records)
