"""What a running worker says of itself, for health pages and the demo's counts."""

from collections.abc import Sequence
from dataclasses import dataclass
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
from streams.runtime.stall_watch import NamedStall


class CountingProcess:
    """A Process that counts the records whose work is done."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.processed = 0

    async def process(
        self, source: TopicPartition, records: Sequence[RawRecord], more: More = no_more
    ) -> None:
        """See Process."""
        begun = len(records)

        def counted() -> Sequence[RawRecord]:
            nonlocal begun
            came = more()
            begun += len(came)
            return came

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


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldUp:
    """What holds work up: the breakers of the process, and partitions that stand still."""

    breakers: Sequence[BreakerStatus] = ()
    stalls: Sequence[NamedStall] = ()


def ready_page(runs: Sequence[Run], held_up: HeldUp) -> tuple[int, dict[str, Any]]:
    """The page `/ready` and its status: 200, or 503 where a restart or patience is needed.

    A subscription that pauses is ready: it goes on by itself, and a restart would help nobody.
    """
    begun = {run.name: run.member.is_ready for run in runs}
    is_ready = all(begun.values()) and not held_up.stalls
    return 200 if is_ready else 503, {
        "ready": is_ready,
        "subscriptions": begun,
        "paused": {run.name: pause for run in runs if (pause := _pause(run)) is not None},
        "stalled": [stall.page() for stall in held_up.stalls],
    }


def live_page(app: str, runs: Sequence[Run], held_up: HeldUp) -> dict[str, Any]:
    """The page `/live`: each subscription, and all of them together."""
    pages = {run.name: _page(run) for run in runs}
    return {
        "app": app,
        "ready": all(page["ready"] for page in pages.values()),
        "unfinished": sum(page["unfinished"] for page in pages.values()),
        "processed": sum(page["processed"] for page in pages.values()),
        "pause": next((page["pause"] for page in pages.values() if page["pause"]), None),
        "breakers": [_breaker(status) for status in held_up.breakers],
        "stalled": [stall.page() for stall in held_up.stalls],
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
