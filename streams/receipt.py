"""Receipts: the promise of a publish."""

import asyncio
from collections.abc import Callable, Generator
from typing import Any, NamedTuple


class Acknowledgement(NamedTuple):
    """The broker has the record on all replicas, at this place."""

    topic: str
    partition: int
    offset: int


class Receipt:
    """Awaitable: resolves when the broker has the event on all replicas, which is "acknowledged".

    Awaiting raises DeliveryFailed when that did not happen, and JournalFailed when it could not be
    written down. A receipt may be awaited more than
    once, by anyone, or never: the delivery goes on all the same.
    """

    __slots__ = ("_future", "event_id")

    def __init__(self, event_id: str, future: "asyncio.Future[Acknowledgement]") -> None:
        self.event_id = event_id
        self._future = future

    def __await__(self) -> Generator[Any, None, Acknowledgement]:
        if self._future.done():
            return self._future.__await__()
        return asyncio.shield(self._future).__await__()

    def after(self, callback: Callable[[Acknowledgement], None]) -> "Receipt":
        """The same promise, kept once `callback` has been told; what it raises breaks it."""
        kept: asyncio.Future[Acknowledgement] = self._future.get_loop().create_future()

        def settle(future: "asyncio.Future[Acknowledgement]") -> None:
            if future.cancelled():
                kept.cancel()
                return
            try:
                acknowledgement = future.result()
                callback(acknowledgement)
            except Exception as error:  # noqa: BLE001  # whoever awaits the receipt is told
                kept.set_exception(error)
                kept.exception()  # marks it as seen: nobody has to await a receipt
            else:
                kept.set_result(acknowledgement)

        if self._future.done():
            settle(self._future)
        else:
            self._future.add_done_callback(settle)
        return Receipt(self.event_id, kept)

    def standing_for(self, event_id: str) -> "Receipt":
        """The same promise for another event: one that went out as part of this one."""
        return Receipt(event_id, self._future)

    def tell(self, promise: "asyncio.Future[Acknowledgement]") -> None:
        """Pass the outcome on to `promise`, now or when there is one."""

        def settle(future: "asyncio.Future[Acknowledgement]") -> None:
            if promise.done():
                return
            if future.cancelled():
                promise.cancel()
            elif (error := future.exception()) is not None:
                promise.set_exception(error)
                promise.exception()  # marks it as seen: nobody has to await a receipt
            else:
                promise.set_result(future.result())

        if self._future.done():
            settle(self._future)
        else:
            self._future.add_done_callback(settle)

    @property
    def acknowledged(self) -> bool:
        """Whether the broker has confirmed it by now."""
        return (
            self._future.done()
            and not self._future.cancelled()
            and self._future.exception() is None
        )

    def __repr__(self) -> str:
        return f"<Receipt {self.event_id} {'acknowledged' if self.acknowledged else 'pending'}>"
