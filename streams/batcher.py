"""Publishing in batches: by number or by time, with a receipt for each event.

Guarantees: every event that is taken is handed over once, in the order of taking, or its receipt
says why not; one that is refused takes none of its neighbours with it. At most `waiting` events
are held; who publishes more waits.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from schemas.event import Event
from streams.errors import (
    BatchInterrupted,
    BrokerUnavailable,
    DeliveryFailed,
    InfrastructureError,
    InvalidBatchLimits,
    NotDelivered,
)
from streams.receipt import Acknowledgement, Receipt


class Outlet(Protocol):
    """Where batches go: an EventBus, an EventPublisher, or a stage in front of one."""

    async def publish_batch(self, events: Sequence[Event[Any]]) -> list[Receipt]:
        """See EventBus.publish_batch."""
        ...


class Cancellable(Protocol):
    """Something that was going to happen."""

    def cancel(self) -> object:
        """It does not happen any more."""
        ...


Later = Callable[[float, Callable[[], object]], Cancellable]
"""Calls a function after so many seconds, unless it is cancelled before."""


def later_on_the_loop(seconds: float, call: Callable[[], object]) -> Cancellable:
    """Later, by the clock of the running event loop."""
    return asyncio.get_running_loop().call_later(seconds, call)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLimits:
    """A batch leaves when it holds `events`, its most, or `interval_s` after its first one.

    `waiting` bounds the events that were taken and not handed over yet. Raises InvalidBatchLimits.
    """

    events: int = 500
    interval_s: float = 0.05
    waiting: int = 10_000

    def __post_init__(self) -> None:
        """Refuse limits under which a batch could never be full, or never leave."""
        if self.events < 1 or self.interval_s <= 0 or self.waiting < self.events:
            raise InvalidBatchLimits(
                f"a batch of {self.events} events after {self.interval_s} s with room for "
                f"{self.waiting} cannot work"
            )


DEFAULT_LIMITS: Final = BatchLimits()


@dataclass(slots=True, kw_only=True, eq=False)
class _Waiting:
    """An event that was taken; `settled` once it was handed over or refused."""

    event: Event[Any]
    promise: "asyncio.Future[Acknowledgement]"
    settled: bool = False


class EventBatcher:
    """Collects events and hands them over in batches, one batch after the other.

    What a batch raises is raised by the receipts: the event's own error for one that is refused,
    DeliveryFailed for all that no batch could carry. `later` is where time comes in.
    """

    def __init__(
        self,
        outlet: Outlet,
        limits: BatchLimits = DEFAULT_LIMITS,
        *,
        later: Later = later_on_the_loop,
    ) -> None:
        self._outlet = outlet
        self._limits = limits
        self._later = later
        self._room = asyncio.Semaphore(limits.waiting)
        self._waiting: list[_Waiting] = []
        self._one_at_a_time = asyncio.Lock()
        self._next: asyncio.Task[None] | None = None
        self._timer: Cancellable | None = None
        self._not_sent: dict[str, None] = {}
        self._closed = False

    async def publish(self, event: Event[Any]) -> Receipt:
        """Take the event and return its receipt; waits while there is no room.

        Raises BrokerUnavailable once the batcher is closed.
        """
        await self._room.acquire()
        if self._closed:
            self._room.release()
            raise BrokerUnavailable("the batcher is closed")
        waiting = _Waiting(event=event, promise=asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if len(self._waiting) >= self._limits.events or self._room.locked():
            self._begin()
        elif self._timer is None and self._next is None:
            self._timer = self._later(self._limits.interval_s, self._begin)
        return Receipt(event.id, waiting.promise)

    async def flush(self) -> None:
        """Return when everything taken so far was handed over, or its receipt says why not."""
        await asyncio.shield(self._begin())

    async def close(self) -> None:
        """Take nothing more and flush. Raises NotDelivered with the ids that were not handed over.

        What was handed over is for the outlet to drain.
        """
        self._closed = True
        await self.flush()
        if self._not_sent:
            missing, self._not_sent = tuple(self._not_sent), {}
            raise NotDelivered(missing)

    def _begin(self) -> "asyncio.Task[None]":
        """Have what waits handed over as the next batch."""
        if self._next is None:
            self._next = asyncio.create_task(self._hand_over_next(), name="hand over a batch")
        return self._next

    async def _hand_over_next(self) -> None:
        async with self._one_at_a_time:
            self._next = None
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            taken, self._waiting = self._waiting, []
            await self._hand_over(taken)

    async def _hand_over(self, taken: list[_Waiting]) -> None:
        """Send batch by batch; once no outlet is there, what is left fails without asking again."""
        cause: BaseException | None = None
        size = self._limits.events
        try:
            for start in range(0, len(taken), size):
                await self._send(taken[start : start + size])
                await asyncio.sleep(0)  # encoding a batch waits for nothing: others take their turn
        except BatchInterrupted as interrupted:
            cause = interrupted.__cause__ or interrupted
        except InfrastructureError as error:
            cause = error
        finally:
            for waiting in taken:
                if not waiting.settled:
                    self._fail(waiting, _not_sent(waiting.event.id, cause))

    async def _send(self, batch: list[_Waiting]) -> None:
        """Hand over what the outlet takes, in order. Raises InfrastructureError when it is away."""
        try:
            receipts = await self._outlet.publish_batch([waiting.event for waiting in batch])
        except BatchInterrupted as interrupted:
            self._keep(batch, interrupted.receipts)
            if not _is_refusal(interrupted.__cause__):
                raise
            await self._send([waiting for waiting in batch if not waiting.settled])
        except InfrastructureError:
            raise
        except Exception as refusal:  # noqa: BLE001  # whatever it is, its receipt raises it
            await self._send_apart(batch, refusal)
        else:
            self._keep(batch, receipts)

    async def _send_apart(self, batch: list[_Waiting], refusal: Exception) -> None:
        """Nothing of a batch was sent, for one event in it: halve it until that one is alone."""
        if len(batch) == 1:
            self._fail(batch[0], refusal)
            return
        middle = len(batch) // 2
        await self._send(batch[:middle])
        await self._send(batch[middle:])

    def _keep(self, batch: list[_Waiting], receipts: Sequence[Receipt]) -> None:
        """Keep the promises of events that were handed over; by id, which a repeat shares."""
        by_id = {receipt.event_id: receipt for receipt in receipts}
        for waiting in batch:
            receipt = by_id.get(waiting.event.id)
            if receipt is not None:
                self._settle(waiting)
                self._not_sent.pop(waiting.event.id, None)
                receipt.tell(waiting.promise)

    def _fail(self, waiting: _Waiting, error: Exception) -> None:
        self._settle(waiting)
        self._not_sent[waiting.event.id] = None
        if not waiting.promise.done():
            waiting.promise.set_exception(error)
            waiting.promise.exception()  # marks it as seen: nobody has to await a receipt

    def _settle(self, waiting: _Waiting) -> None:
        waiting.settled = True
        self._room.release()


def _is_refusal(cause: BaseException | None) -> bool:
    """Whether one event broke a batch off; what comes behind it can be sent all the same."""
    return cause is not None and not isinstance(cause, InfrastructureError)


def _not_sent(event_id: str, cause: BaseException | None) -> DeliveryFailed:
    why = f"{type(cause).__name__}: {cause}" if cause else "its batch was broken off"
    failure = DeliveryFailed(f"event {event_id} was not sent: {why}")
    failure.__cause__ = cause
    return failure
