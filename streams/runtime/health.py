"""What a running worker says of itself, for health pages and the demo's counts."""

from collections.abc import Sequence
from typing import Any

from streams.attempts import Pause
from streams.lane import Lanes
from streams.processor import Process
from streams.records import RawRecord, TopicPartition
from streams.runtime.member import GroupMember


class CountingProcess:
    """A Process that counts the records whose work is done."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.processed = 0

    async def process(self, source: TopicPartition, records: Sequence[RawRecord]) -> None:
        """See Process."""
        await self._process.process(source, records)
        self.processed += len(records)

    @property
    def pause(self) -> Pause | None:
        """What it waits for."""
        return self._process.pause


def live_page(
    app: str, subscription: str, member: GroupMember, lanes: Lanes, process: CountingProcess
) -> dict[str, Any]:
    """The page `/live`."""
    pause = process.pause
    return {
        "app": app,
        "subscription": subscription,
        "ready": member.is_ready,
        "assigned": [str(source) for source in member.assigned()],
        "unfinished": lanes.unfinished,
        "processed": process.processed,
        "committed": {str(source): offset for source, offset in member.committed().items()},
        "pause": None
        if pause is None
        else {"reason": pause.reason, "waiting_for": pause.waiting_for},
    }
