"""Watches whether a worker's partitions get on, and says what stands still: handler, event, since.

It compares with the ends that the broker says: a partition that is no longer read looks, from
within, as if there were nothing to do.
"""

import asyncio
import faulthandler
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import structlog

from streams.errors import InfrastructureError
from streams.lane import Lanes
from streams.log import PartitionFetcher
from streams.processor import Process
from streams.records import TopicPartition
from streams.runtime.inspection import WorkInHand, stack_of, work_of
from streams.stall import Stall, StallDetector, Standing

LOOK_S: Final = 2.0
"""How often it is looked how far all partitions are."""

ENDS_S: Final = 5.0
"""How long the broker may take to say where its partitions end."""

MOST_STACKS: Final = 100
"""Tasks whose stacks are written into the log, at most."""

log = structlog.get_logger(__name__)


class Reads(Protocol):
    """What is asked of a member of a group."""

    @property
    def is_ready(self) -> bool:
        """Whether an assignment is in force."""
        ...

    @property
    def starts(self) -> Mapping[TopicPartition, int]:
        """Where the work on the partitions that are read has begun."""
        ...

    async def read_up_to(self, source: TopicPartition) -> int | None:
        """The next offset that will be read; None while nobody reads the partition."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedRun:
    """One subscription: who reads, the lanes, and what may pause."""

    name: str
    member: Reads
    lanes: Lanes
    process: Process


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedStall:
    """A partition that stands still, and what is in hand there."""

    stall: Stall
    work: WorkInHand
    since: datetime

    def page(self) -> dict[str, Any]:
        """As shown on pages and in the log."""
        standing, work = self.stall.standing, self.work
        return {
            "subscription": standing.subscription,
            "partition": str(standing.source),
            "handler": work.handler,
            "event_id": work.event_id,
            "offset": standing.position if work.offset is None else work.offset,
            "lag": standing.lag,
            "since": self.since.isoformat(timespec="seconds"),
            "for_s": round(self.stall.for_s, 1),
        }


class StallWatch:
    """Looks again and again; `stalls` is what stands still at the moment."""

    def __init__(
        self,
        runs: Sequence[WatchedRun],
        open_fetcher: Callable[[], PartitionFetcher],
        stall_after_s: float,
        now: Callable[[], datetime],
    ) -> None:
        """`open_fetcher`: one that is not started, to ask for ends with."""
        self.stalls: Sequence[NamedStall] = ()
        self._watched = [(run, StallDetector(stall_after_s)) for run in runs]
        self._ends = _Ends(open_fetcher)
        self._now = now
        self._told: set[tuple[str, TopicPartition, int]] = set()

    async def run(self) -> None:
        """Look until cancelled."""
        try:
            while True:
                await self.look()
                await asyncio.sleep(LOOK_S)
        finally:
            await self._ends.close()

    async def look(self) -> None:
        """Look once; what stands still anew is told with all stacks."""
        found: list[NamedStall] = []
        for run, detector in self._watched:
            found += await self._look_at(run, detector)
        self.stalls = found
        told = {_identity(it) for it in found}
        new = [it for it in found if _identity(it) not in self._told]
        self._told = told
        for named in new:
            log.error("a partition stands still", **named.page())
        if new:
            dump_stacks()

    async def _look_at(self, run: WatchedRun, detector: StallDetector) -> Sequence[NamedStall]:
        starts = run.member.starts if run.member.is_ready else {}
        if not starts or run.process.pause is not None:
            detector.forget()
            return ()
        ends = await self._ends.of(starts)
        if ends is None:
            detector.forget()
            return ()
        work = {source: work_of(run.lanes.tasks(source)) for source in starts}
        standings = [
            await _standing(run, source, ends.get(source, 0), work[source]) for source in starts
        ]
        return [
            NamedStall(
                stall=stall,
                work=work[stall.standing.source],
                since=self._now() - timedelta(seconds=stall.for_s),
            )
            for stall in detector.look(standings, time.monotonic())
        ]


class _Ends:
    """Asks the broker where partitions end."""

    def __init__(self, open_fetcher: Callable[[], PartitionFetcher]) -> None:
        self._open_fetcher = open_fetcher
        self._fetcher: PartitionFetcher | None = None

    async def of(self, sources: Collection[TopicPartition]) -> Mapping[TopicPartition, int] | None:
        """The ends; None while no broker answers."""
        try:
            async with asyncio.timeout(ENDS_S):
                if self._fetcher is None:
                    fetcher = self._open_fetcher()
                    await fetcher.start({})
                    self._fetcher = fetcher
                return await self._fetcher.ends(list(sources))
        except (InfrastructureError, TimeoutError) as error:
            log.warning("nobody knows the lag", error=f"{type(error).__name__}: {error}")
            await self.close()
            return None

    async def close(self) -> None:
        """Let go of the connection."""
        if self._fetcher is not None:
            fetcher, self._fetcher = self._fetcher, None
            await fetcher.close()


async def _standing(
    run: WatchedRun, source: TopicPartition, end: int, work: WorkInHand
) -> Standing:
    position = run.lanes.committable().get(source, run.member.starts.get(source, end))
    if position < end and not run.lanes.tasks(source):
        # Nothing is in hand: the rest may be holes, which transactions and compaction leave.
        position = max(position, await run.member.read_up_to(source) or 0)
    return Standing(
        subscription=run.name,
        source=source,
        position=position,
        in_hand=(work.offset, work.event_id),
        end=end,
    )


def dump_stacks() -> None:
    """Where every task and every thread of the process is, into the log."""
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in sorted(tasks, key=lambda it: it.get_name())[:MOST_STACKS]:
        log.error("stack of a task", task=task.get_name(), frames=stack_of(task))
    dump_threads()


def dump_threads() -> None:
    """Where every thread is, onto the standard error of the process."""
    if sys.__stderr__ is not None:
        faulthandler.dump_traceback(sys.__stderr__, all_threads=True)


def _identity(named: NamedStall) -> tuple[str, TopicPartition, int]:
    standing = named.stall.standing
    return standing.subscription, standing.source, standing.position
