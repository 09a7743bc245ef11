"""What tests of batches stand on: time that a test moves, and an outlet that does as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from schemas.errors import InvalidEventData
from schemas.event import Event
from streams.errors import BatchInterrupted, BrokerUnavailable, RecordRefused, StreamsError
from streams.receipt import Acknowledgement, Receipt


class Planned:
    """A call that will be made unless it is cancelled."""

    def __init__(self, seconds: float, call: Callable[[], object]) -> None:
        self.seconds = seconds
        self.call = call
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class ManualTime:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.planned: list[Planned] = []

    def later(self, seconds: float, call: Callable[[], object]) -> Planned:
        """See Later."""
        self.planned.append(Planned(seconds, call))
        return self.planned[-1]

    @property
    def pending(self) -> list[Planned]:
        """What will be called."""
        return [plan for plan in self.planned if not plan.is_cancelled]

    def pass_by(self) -> None:
        """Let everything that is planned happen."""
        due, self.planned = self.pending, []
        for plan in due:
            plan.call()


class ScriptedOutlet:
    """An outlet that refuses bad events, breaks off when told to, and may be held."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.sent: list[Event[Any]] = []
        self.invalid: set[str] = set()
        """Ids that are refused before anything of their batch is sent."""
        self.refused: set[str] = set()
        """Ids that the log refuses when their turn comes."""
        self.breaks_after: list[int] = []
        """Of the next batches: after how many events the broker is away."""
        self.free = asyncio.Event()
        self.free.set()
        self.turns = asyncio.Semaphore(0)

    @property
    def sent_ids(self) -> list[str]:
        """The ids of what was sent, in order."""
        return [event.id for event in self.sent]

    async def publish_batch(self, events: Sequence[Event[Any]]) -> list[Receipt]:
        """See EventBus.publish_batch."""
        if not self.free.is_set():
            await self.turns.acquire()
        self.batches.append([event.id for event in events])
        for event in events:
            if event.id in self.invalid:
                raise InvalidEventData("data.step", "expected a whole number, got str")
        breaks_after = self.breaks_after.pop(0) if self.breaks_after else len(events)
        receipts: list[Receipt] = []
        for event in events:
            failure: StreamsError | None = None
            if len(receipts) >= breaks_after:
                failure = BrokerUnavailable("no broker")
            elif event.id in self.refused:
                failure = RecordRefused("too large")
            if failure and not receipts:
                raise failure
            if failure:
                raise BatchInterrupted(
                    receipts, [one.id for one in events[len(receipts) :]]
                ) from failure
            self.sent.append(event)
            receipts.append(Receipt(event.id, acknowledged(len(self.sent) - 1)))
        return receipts

    def hold(self) -> None:
        """Let no batch through but by `turns`."""
        self.free.clear()

    def let_through(self) -> None:
        """Let everything through from now on."""
        self.free.set()
        self.turns.release()


def acknowledged(offset: int) -> asyncio.Future[Acknowledgement]:
    """A promise that is kept."""
    promise: asyncio.Future[Acknowledgement] = asyncio.get_running_loop().create_future()
    promise.set_result(Acknowledgement("t", 0, offset))
    return promise


async def settled() -> None:
    """Let every task go on until it waits for something."""
    for _ in range(20):
        await asyncio.sleep(0)
