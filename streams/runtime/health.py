"""What a running worker says of itself, for health pages and the demo's counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from streams.attempts import Pause
from streams.lane import Lanes
from streams.parking.lot import ParkingLot
from streams.processor import More, Process, no_more
from streams.records import RawRecord, TopicPartition
from streams.runtime.member import GroupMember


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


def live_page(app: str, runs: Sequence[Run]) -> dict[str, Any]:
    """The page `/live`: each subscription, and all of them together."""
    pages = {run.name: _page(run) for run in runs}
    return {
        "app": app,
        "ready": all(page["ready"] for page in pages.values()),
        "unfinished": sum(page["unfinished"] for page in pages.values()),
        "processed": sum(page["processed"] for page in pages.values()),
        "pause": next((page["pause"] for page in pages.values() if page["pause"]), None),
        "subscriptions": pages,
    }


def _page(run: Run) -> dict[str, Any]:
    pause = run.process.pause
    return {
        "ready": run.member.is_ready,
        "assigned": [str(source) for source in run.member.assigned()],
        "recovery": [progress._asdict() for progress in run.member.recovery],
        "unfinished": run.lanes.unfinished,
        "processed": run.process.processed,
        "backlog": run.lot.backlog._asdict(),
        "committed": {str(source): offset for source, offset in run.member.committed().items()},
        "pause": None
        if pause is None
        else {"reason": pause.reason, "waiting_for": pause.waiting_for},
    }
