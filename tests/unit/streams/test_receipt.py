"""A receipt that waits for a note of the acknowledgement, too."""

from __future__ import annotations

import asyncio

import pytest

from streams.errors import DeliveryFailed
from streams.receipt import Acknowledgement, Receipt

PLACE = Acknowledgement("t", 0, 7)
Promise = asyncio.Future[Acknowledgement]


async def test_whoever_awaits_is_told_after_the_callback() -> None:
    promise: Promise = asyncio.get_running_loop().create_future()
    told: list[Acknowledgement] = []
    receipt = Receipt("e1", promise).after(told.append)
    promise.set_result(PLACE)
    assert not receipt.acknowledged, "nobody was told yet"
    assert await receipt == PLACE
    assert told == [PLACE]
    assert receipt.event_id == "e1"


async def test_what_the_callback_raises_breaks_the_promise() -> None:
    promise: Promise = asyncio.get_running_loop().create_future()

    def refuse(_: Acknowledgement) -> None:
        raise OSError("full")

    receipt = Receipt("e1", promise).after(refuse)
    promise.set_result(PLACE)
    with pytest.raises(OSError, match="full"):
        await receipt
    assert not receipt.acknowledged


async def test_a_failed_delivery_is_passed_on_and_calls_nobody() -> None:
    promise: Promise = asyncio.get_running_loop().create_future()
    told: list[Acknowledgement] = []
    promise.set_exception(DeliveryFailed("away"))
    receipt = Receipt("e1", promise).after(told.append)
    with pytest.raises(DeliveryFailed, match="away"):
        await receipt
    assert told == []


async def test_a_withdrawn_promise_is_withdrawn_for_all() -> None:
    promise: Promise = asyncio.get_running_loop().create_future()
    receipt = Receipt("e1", promise).after(lambda _: None)
    promise.cancel()
    with pytest.raises(asyncio.CancelledError):
        await receipt


async def test_who_asks_is_told_when_the_promise_is_settled_whatever_came_of_it() -> None:
    loop = asyncio.get_running_loop()
    told: list[BaseException | None] = []
    kept, broken, cancelled = (loop.create_future() for _ in range(3))
    Receipt("a", kept).on_settled(told.append)
    Receipt("b", broken).on_settled(told.append)
    kept.set_result(Acknowledgement("t", 0, 1))
    broken.set_exception(failure := RuntimeError("lost"))
    cancelled.cancel()
    await asyncio.sleep(0)
    Receipt("c", cancelled).on_settled(told.append)
    assert told[:2] == [None, failure]
    assert isinstance(told[2], asyncio.CancelledError)
