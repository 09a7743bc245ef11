"""Parking for tests of parts beside it: nothing fails, so nothing is tried again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from streams.attempts import Failed
from streams.memory.fetcher import MemoryFetcher
from streams.memory.log import MemoryLog, MemorySender
from streams.parking.lot import LotEdges, ParkingLot
from streams.parking.redoing import Redoing
from streams.receipt import Receipt
from streams.records import RawRecord
from streams.retry import RetrySchedule

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class NothingToRedo:
    """Implements Redo."""

    async def redo(self, handler: str, record: RawRecord, receipts: list[Receipt]) -> Failed | None:
        """Nothing has failed."""
        raise AssertionError(record)

    def schedule_of(self, handler: str) -> RetrySchedule:
        """Nothing is tried again."""
        raise AssertionError(handler)


def idle_lot(log: MemoryLog | None = None, app: str = "team") -> ParkingLot:
    """A parking lot over a log in process."""
    sender = MemorySender(log or MemoryLog())
    return ParkingLot(app, f"{app}.main", LotEdges(sender=sender, clock=lambda: NOW))


def idle_redoing(log: MemoryLog, on_failure: Callable[[BaseException], None]) -> Redoing:
    """What a pump is given."""
    return Redoing(idle_lot(log), NothingToRedo(), lambda: MemoryFetcher(log), on_failure)
