"""Watches whether a worker's partitions get on, and says what stands still: handler, event, since.

It compares with the ends that the broker says: a partition that is no longer read looks, from
within, as if there were nothing to do.
"""

import asyncio
import faulthandler
import math
import sys
import time
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import structlog

from streams.errors import InfrastructureError
from streams.lane import Lanes
from streams.log import PartitionFetcher
from streams.pages import Pages
from streams.records import TopicPartition
from streams.runtime.inspection import WorkInHand, stack_of, work_of
from streams.stall import Stall, StallDetector, Standing

LOOK_S: Final = 2.0
"""How often it is looked how far all partitions are."""

ENDS_S: Final = 5.0
"""How long the broker may take to say where its partitions end."""

MARGIN_S: Final = 5.0
"""How much longer than its time limit a handler may take before nothing is expected of it."""

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
    """One subscription: who reads, the lanes, and how long each handler may take for a try."""

    name: str
    member: Reads
    lanes: Lanes
    time_limits: Mapping[str, float] = field(default_factory=dict)
    """In seconds, infinite without a limit."""
    ends: dict[TopicPartition, int] = field(default_factory=dict)
    """Told where the partitions end, each time that the broker was asked."""

    def limit_of(self, work: WorkInHand) -> float | None:
        """The time limit of the handler that works; None where there is none."""
        limit_s = self.time_limits.get(work.handler or "", math.inf)
        return None if limit_s == math.inf else limit_s


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedStall:
    """A partition that stands still, and what is in hand there."""

    stall: Stall
    work: WorkInHand
    since: datetime
    limit_s: float | None = None
    """How long the handler may take by its own TimeOut; None without one."""

    @property
    def is_within_limit(self) -> bool:
        """Whether the handler may still end by itself, at the latest by its time limit."""
        return self.limit_s is not None and self.stall.for_s < self.limit_s + MARGIN_S

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
            "limit_s": self.limit_s,
        }

    def sentence(self) -> str:
        """The same for a reader."""
        told = self.page()
        return (
            f"{told['subscription']} stands still at {told['partition']} since {told['since']}: "
            f"handler {told['handler']}, event {told['event_id']}"
        )


class StallWatch:
    """Looks again and again; `standing` is what stands still at the moment."""

    def __init__(
        self,
        runs: Sequence[WatchedRun],
        open_fetcher: Callable[[], PartitionFetcher],
        stall_after_s: float,
        now: Callable[[], datetime],
    ) -> None:
        """`open_fetcher`: one that is not started, to ask for ends with."""
        self.standing: Sequence[NamedStall] = ()
        self._watched = [(run, StallDetector(stall_after_s)) for run in runs]
        self._ends = _Ends(open_fetcher)
        self._now = now
        self._told: set[Hashable] = set()

    @property
    def stalls(self) -> Sequence[NamedStall]:
        """What stands still for longer than its handler may take."""
        return [it for it in self.standing if not it.is_within_limit]

    @property
    def slow(self) -> Sequence[NamedStall]:
        """What stands still, and may still end by its handler's time limit."""
        return [it for it in self.standing if it.is_within_limit]

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
        self.standing = found
        told = {_identity(it) for it in found}
        new = [it for it in found if _identity(it) not in self._told]
        self._told = told
        for named in new:
            if named.is_within_limit:
                log.warning("a handler takes long, within its time limit", **named.page())
            else:
                log.error("a partition stands still", **named.page())
        if new:
            dump_stacks()

    async def _look_at(self, run: WatchedRun, detector: StallDetector) -> Sequence[NamedStall]:
        starts = run.member.starts if run.member.is_ready else {}
        if not starts:
            detector.forget()
            return ()
        ends = await self._ends.of(starts)
        if ends is None:
            detector.skip(time.monotonic())
            return [it for it in self.standing if it.stall.standing.subscription == run.name]
        run.ends.clear()
        run.ends.update(ends)
        work = {source: work_of(run.lanes.tasks(source)) for source in starts}
        standings = [
            await _standing(run, source, ends.get(source, 0), work[source])
            for source in starts
            if not work[source].waits
        ]
        return [
            self._named(run, stall, work[stall.standing.source])
            for stall in detector.look(standings, time.monotonic())
        ]

    def _named(self, run: WatchedRun, stall: Stall, work: WorkInHand) -> NamedStall:
        since = self._now() - timedelta(seconds=stall.for_s)
        return NamedStall(stall=stall, work=work, since=since, limit_s=run.limit_of(work))


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


def show_stalls(watch: StallWatch, pages: Pages) -> None:
    """A worker that stands still is not ready, and its pages say where.

    What is slow within its handler's time limit is shown, and is no reason.
    """

    def facts() -> Mapping[str, Any]:
        return {
            "stalled": [stall.page() for stall in watch.stalls],
            "slow": [stall.page() for stall in watch.slow],
        }

    def not_ready() -> str | None:
        return "; ".join(stall.sentence() for stall in watch.stalls) or None

    pages.show(facts)
    pages.readiness.show(facts)
    pages.readiness.add("stall", not_ready)


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
        in_hand=(work.offset, work.event_id, work.handler),
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


def _identity(named: NamedStall) -> Hashable:
    standing = named.stall.standing
    return standing.subscription, standing.source, standing.position, named.is_within_limit
