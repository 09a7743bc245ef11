"""What a running worker says of itself, for health pages and the demo's counts."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from schemas.event import system_clock
from streams.attempts import Pause
from streams.breaker import BreakerStatus
from streams.lane import Lanes
from streams.parking.lot import ParkingLot
from streams.processor import More, Process, no_more
from streams.records import RawRecord, TopicPartition
from streams.runtime.member import GroupMember
from streams.work_metrics import WorkMetrics


class CountingProcess:
    """A Process that counts the records whose work is done, and how long they waited for it."""

    def __init__(
        self,
        process: Process,
        metrics: WorkMetrics,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """`metrics` is told how long records have waited; `wall_clock` in seconds."""
        self._process = process
        self._metrics = metrics
        self._wall_clock = wall_clock
        self.processed = 0

    async def process(
        self, source: TopicPartition, records: Sequence[RawRecord], more: More = no_more
    ) -> None:
        """See Process."""
        begun = len(records)

        def counted() -> Sequence[RawRecord]:
            nonlocal begun
            came = more()
            if came:
                begun += len(came)
                self._metrics.begun(came, self._wall_clock() * 1_000)
            return came

        self._metrics.begun(records, self._wall_clock() * 1_000)
        await self._process.process(source, records, counted)
        self.processed += begun

    @property
    def pause(self) -> Pause | None:
        """What it waits for."""
        return self._process.pause


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One subscription that a worker runs."""

    name: str
    member: GroupMember
    lanes: Lanes
    process: CountingProcess
    lot: ParkingLot
    metrics: WorkMetrics
    time_limits: Mapping[str, float] = field(default_factory=dict)
    """How long a try of each handler may take, in seconds; infinite without a limit."""
    ends: dict[TopicPartition, int] = field(default_factory=dict)
    """Where the partitions end, as whoever watches for stalls was told last."""

    def not_ready(self) -> str | None:
        """Why the subscription cannot work; None when it can.

        One that waits for infrastructure is ready: it goes on by itself, its tables answer
        meanwhile, and nothing would be won if it were started again.
        """
        if self.member.is_ready:
            return None
        behind = [it for it in self.member.recovery if it.done < it.total]
        if behind:
            done, total = sum(it.done for it in behind), sum(it.total for it in behind)
            return f"tables are being recovered, {done:,} of {total:,} records"
        return "no assignment is in force yet"


def paused(runs: Sequence[Run]) -> Mapping[str, Mapping[str, str]]:
    """For `paused` on `/ready`: the subscriptions that wait, and for what."""
    return {run.name: told for run in runs if (told := _pause(run)) is not None}


def live_page(
    app: str, runs: Sequence[Run], breakers: Sequence[BreakerStatus] = ()
) -> dict[str, Any]:
    """The page `/live`: each subscription, all of them together, and the breakers."""
    pages = {run.name: _page(run) for run in runs}
    return {
        "app": app,
        "ready": all(page["ready"] for page in pages.values()),
        "unfinished": sum(page["unfinished"] for page in pages.values()),
        "processed": sum(page["processed"] for page in pages.values()),
        "pause": next((page["pause"] for page in pages.values() if page["pause"]), None),
        "breakers": [_breaker(status) for status in breakers],
        "subscriptions": pages,
    }


def _breaker(status: BreakerStatus) -> dict[str, Any]:
    since = system_clock() - timedelta(seconds=status.for_s)
    return {
        "name": status.name,
        "state": status.state.value,
        "since": since.isoformat(timespec="seconds"),
        "reason": status.reason,
        "forced": status.forced,
        "waiting": status.waiting,
    }


def _pause(run: Run) -> dict[str, str] | None:
    pause = run.process.pause
    if pause is None:
        return None
    return {"reason": pause.reason, "waiting_for": pause.waiting_for}


def _page(run: Run) -> dict[str, Any]:
    return {
        "ready": run.member.is_ready,
        "assigned": [str(source) for source in run.member.assigned()],
        "recovery": [progress._asdict() for progress in run.member.recovery],
        "unfinished": run.lanes.unfinished,
        "processed": run.process.processed,
        "backlog": run.lot.backlog._asdict(),
        "committed": {str(source): offset for source, offset in run.member.committed().items()},
        "pause": _pause(run),
    }
