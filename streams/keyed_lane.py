"""The lane of subscriptions whose handlers wait: several keys of a partition at a time.

Events of one key stay in order; those without a key are nobody's successors.
"""

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

BEGUN_RECORDS: Final = 1_000
"""How many records may be begun and unfinished: one slow key holds up the others no sooner."""

Key = bytes | int


class KeyedLane:
    """Implements Lane with at most `concurrency` keys in work.

    An offset is committed when it and all before it are finished.
    """

    def __init__(
        self,
        process: Process,
        pace: Pace,
        concurrency: int,
        source: TopicPartition,
        on_room: Callable[[], None],
    ) -> None:
        self._process = process
        self._pace = pace
        self._concurrency = concurrency
        self._source = source
        self._on_room = on_room
        self._waiting: deque[RawRecord] = deque()
        self._waiting_bytes = 0
        self._begun: dict[Key, deque[RawRecord]] = {}
        self._working: dict[Key, asyncio.Task[None]] = {}
        self._workers: set[asyncio.Task[None]] = set()
        self._taken = -1
        self._unfinished = 0
        self._watermark = Watermark()
        self._is_draining = False
        self._is_stopped = False
        self._failure: BaseException | None = None
        self._changed = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name=f"lane {source}")
        self._task.add_done_callback(self._ended)

    def offer(self, records: Sequence[RawRecord]) -> None:
        """See Lane."""
        new = above(self._taken, records)
        if new and not self._is_draining:
            self._taken = new[-1].offset
            self._waiting.extend(new)
            self._waiting_bytes += bytes_of(new)
            self._changed.set()

    @property
    def waiting(self) -> int:
        """See Lane."""
        return max(len(self._waiting), self._waiting_bytes // RECORD_BYTES)

    @property
    def unfinished(self) -> int:
        """See Lane."""
        return len(self._waiting) + self._unfinished

    @property
    def committable(self) -> int | None:
        """See Lane."""
        return self._watermark.committable

    @property
    def tasks(self) -> Sequence[asyncio.Task[None]]:
        """See Lane."""
        begun = [(queue[0].offset, key) for key, queue in self._begun.items() if queue]
        return [self._working[key] for _, key in sorted(begun, key=lambda it: it[0])]

    @property
    def failure(self) -> BaseException | None:
        """See Lane."""
        return self._failure

    async def drain(self, deadline_s: float) -> None:
        """See Lane."""
        self._is_draining = True
        self._waiting.clear()
        self._waiting_bytes = 0
        if self._workers:
            await asyncio.wait(set(self._workers), timeout=deadline_s)

    async def stop(self) -> None:
        """See Lane."""
        self._is_stopped = True
        tasks = {self._task, *self._workers}
        for task in tasks:
            task.remove_done_callback(self._ended)
            task.cancel()
        _, alive = await asyncio.wait(tasks, timeout=STOP_S)
        if alive:
            self._failure = LaneStopped(f"lane {self._source} does not end")

    async def _run(self) -> None:
        """Begin records in the order of the log, each behind those of its key."""
        while not self._is_stopped:
            while not self._can_begin():
                self._changed.clear()
                await self._changed.wait()
            await self._pace.turn(self._source.topic, self._waiting[0].timestamp_ms)
            if self._can_begin() and not self._is_stopped:
                record = self._waiting.popleft()
                self._waiting_bytes -= bytes_of([record])
                self._begin(record)
                self._on_room()

    def _can_begin(self) -> bool:
        if not self._waiting or self._unfinished >= BEGUN_RECORDS:
            return False
        return _key(self._waiting[0]) in self._begun or len(self._begun) < self._concurrency

    def _begin(self, record: RawRecord) -> None:
        self._watermark.begin(record.offset, record.offset)
        self._unfinished += 1
        key = _key(record)
        queue = self._begun.get(key)
        if queue is not None:
            queue.append(record)
            return
        self._begun[key] = deque([record])
        worker = asyncio.create_task(self._work(key), name=f"lane {self._source} {key!r}")
        self._working[key] = worker
        self._workers.add(worker)
        worker.add_done_callback(self._ended)

    async def _work(self, key: Key) -> None:
        """Finish what is begun of one key, in order."""
        queue = self._begun[key]
        while queue and not self._is_draining:
            record = queue[0]
            await self._process.process(self._source, [record])
            if self._is_stopped:
                return
            queue.popleft()
            self._watermark.finish(record.offset)
            self._unfinished -= 1
            self._changed.set()
        del self._begun[key], self._working[key]
        self._changed.set()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._workers.discard(task)
        if self._failure is None:
            if task.cancelled():
                self._failure = LaneStopped(f"lane {self._source} was cancelled from within")
            else:
                self._failure = task.exception()
        if self._failure is not None:
            self._on_room()


def _key(record: RawRecord) -> Key:
    return record.offset if record.key is None else record.key
