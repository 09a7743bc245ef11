"""The pump of a consumer group: reads, feeds lanes, commits watermarks, survives infrastructure."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Final

import structlog

from streams.errors import BrokerUnavailable, CommitRefused, InfrastructureError
from streams.lane import Lanes
from streams.log import AssignmentListener, GroupReader
from streams.parking.redoing import Redoing
from streams.processor import Process
from streams.records import RawRecord, TopicPartition
from streams.serial_lane import SerialLane
from streams.turns import AtOnce

READ_S: Final = 0.2
COMMIT_EVERY_S: Final = 1.0
DRAIN_S: Final = 5.0
"""How long a rebalance or a stop waits for what is in work: below the session timeout."""

STOP_S: Final = 2 * DRAIN_S
"""How long a stop may take in all, the last commit included."""

REJOIN_PAUSE_S: Final = 1.0

OpenReader = Callable[[AssignmentListener], GroupReader]

log = structlog.get_logger(__name__)


class GroupPump:
    """Delivers a group's records to a process, at least once, in order per partition.

    A commit is never above unfinished work. When infrastructure fails under a lane, the pump leaves
    the group, waits, and joins again at the last commit. Any other error ends it: `watch` raises it
    at once, and `stop` too.
    """

    def __init__(
        self,
        process: Process,
        open_reader: OpenReader,
        open_redoing: Callable[[Callable[[BaseException], None]], Redoing],
    ) -> None:
        """`open_redoing`: what tries failed events again; it tells what it cannot go on with."""
        self._open_reader = open_reader
        self._redoing = open_redoing(self._fail)
        self._redoing.keep_behind(self._finished, self._committed_of)
        self._starts: Mapping[TopicPartition, int] = {}
        self._placed: int | None = None
        self._failure: BaseException | None = None
        self._lanes = Lanes(partial(SerialLane, process, AtOnce()))
        self._reader: GroupReader | None = None
        self._assignments = count(1)
        self._assignment: int | None = None
        self._committed: dict[TopicPartition, int] = {}
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Join the group; returns with the first assignment.

        Raises BrokerUnavailable or TopicMissing.
        """
        self._reader = await self._join()
        if self._failure is not None:
            await self._leave()
            raise self._failure
        self._task = asyncio.create_task(self._run(), name="group pump")

    async def watch(self) -> None:
        """Return when the pump was stopped. Raises what ended it, as soon as it does."""
        if self._task is None:
            return
        await asyncio.wait({self._task})
        failure = None if self._task.cancelled() else self._task.exception()
        if failure is not None:
            raise failure

    async def stop(self) -> None:
        """Finish what is in work for a bounded time, commit, leave.

        Raises what had ended the pump.
        """
        self._stopping.set()
        if self._task is None:
            return
        await asyncio.wait({self._task}, timeout=STOP_S)
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def revoked(self, partitions: Iterable[TopicPartition]) -> None:
        """Finish and commit before the partitions go: the next member need not repeat it."""
        self._assignment, self._starts = None, {}
        await self._finish()
        await self._lanes.close(partitions)
        await self._redoing.close()
        self._committed.clear()

    async def assigned(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Start from the committed offsets, with lanes that know nothing of an earlier time."""
        await self._lanes.close()
        self._committed.clear()
        self._starts = {}
        try:
            await self._redoing.begin(list(partitions))
        except InfrastructureError as error:
            # The client that calls would go on all the same: without it nothing is offered.
            self._failure = error
        else:
            self._assignment = next(self._assignments)
        return {}

    async def _run(self) -> None:
        committing = asyncio.create_task(self._commit_regularly(), name="commit")
        try:
            while not self._stopping.is_set():
                try:
                    await self._feed()
                except InfrastructureError as error:
                    log.warning("subscription pauses and joins again", error=str(error))
                    await self._rejoin()
            await self._finish()
            self._lanes.raise_failure()
        except Exception as error:
            log.exception("subscription ended", error=str(error))
            raise
        finally:
            committing.cancel()
            await self._leave()

    async def _feed(self) -> None:
        """Read and hand to the lanes until told to stop.

        Raises what a lane or the reader raises.
        """
        while not self._stopping.is_set():
            self._lanes.raise_failure()
            if self._failure is not None:
                raise self._failure
            if self._reader is None:
                self._reader = await self._join()
            await self._place(self._reader)
            batch = await self._reader.read(timeout_s=READ_S)
            await self._offer(batch, self._assignment)

    async def _place(self, reader: GroupReader) -> None:
        """Note where the work of a new assignment begins, before anything of it is read."""
        assignment = self._assignment
        if assignment is not None and assignment != self._placed:
            starts = await reader.positions()
            if assignment == self._assignment:
                self._starts, self._placed = starts, assignment

    def _finished(self, source: TopicPartition) -> int | None:
        reached = self._lanes.committable_of(source)
        return self._starts.get(source) if reached is None else reached

    def _committed_of(self, source: TopicPartition) -> int | None:
        return self._committed.get(source, self._starts.get(source))

    async def _offer(
        self, batch: Mapping[TopicPartition, Sequence[RawRecord]], assignment: int | None
    ) -> None:
        """Hand over what was read under `assignment`, for as long as it is the present one.

        The rest is read again from the last commit: a lane begins there and nowhere else.
        """
        for source, records in batch.items():
            await self._lanes.with_room([source])
            if assignment is None or assignment != self._assignment:
                return
            self._lanes.offer(source, records)

    def _fail(self, error: BaseException) -> None:
        self._failure = error

    async def _finish(self) -> None:
        await asyncio.gather(self._lanes.drain(DRAIN_S), self._redoing.drain(DRAIN_S))
        await self._commit()

    async def _commit_regularly(self) -> None:
        while True:
            await asyncio.sleep(COMMIT_EVERY_S)
            await self._commit()

    async def _commit(self) -> None:
        """A commit that fails is made up for by the next.

        The records are at worst delivered again.
        """
        offsets = {
            source: offset
            for source, offset in self._lanes.committable().items()
            if self._committed.get(source) != offset
        }
        if not offsets or self._reader is None:
            return
        try:
            await self._reader.commit(offsets)
        except (BrokerUnavailable, CommitRefused) as error:
            log.warning("offsets not committed", error=str(error))
        else:
            self._committed.update(offsets)

    async def _join(self) -> GroupReader:
        self._failure = None
        reader = self._open_reader(self)
        await reader.start()
        return reader

    async def _rejoin(self) -> None:
        await self._leave()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), REJOIN_PAUSE_S)

    async def _leave(self) -> None:
        """Stop all lanes first: nothing may be at work for partitions that others get."""
        self._assignment = None
        await self._lanes.close()
        await self._redoing.close()
        self._committed.clear()
        if self._reader is not None:
            reader, self._reader = self._reader, None
            await reader.close()
