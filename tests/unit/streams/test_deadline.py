"""Team code with a time limit: in one step where it can be, cancelled where it hangs."""

from __future__ import annotations

import asyncio

import pytest

from streams import deadline
from streams.errors import HandlerTimedOut


async def test_work_that_never_waits_is_done_in_one_step() -> None:
    done: list[int] = []

    async def inner() -> None:
        done.append(1)

    async def work() -> None:
        await inner()
        done.append(2)

    assert deadline.run(work()) is None
    assert done == [1, 2]


async def test_work_that_waits_goes_on_in_the_same_task_with_what_it_waited_for() -> None:
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    seen: list[object] = [asyncio.current_task()]

    async def work() -> None:
        seen.append(asyncio.current_task())
        seen.append(await answer)
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())

    suspended = deadline.run(work())
    assert suspended is not None
    answer.set_result("the answer")
    await suspended.finish(5)
    assert seen[2] == "the answer"
    assert seen[0] is seen[1] is seen[3]


async def test_errors_come_out_at_the_first_step_and_later() -> None:
    async def at_once() -> None:
        raise KeyError("first")

    async def later() -> None:
        await asyncio.sleep(0)
        raise KeyError("later")

    with pytest.raises(KeyError, match="first"):
        deadline.run(at_once())
    suspended = deadline.run(later())
    assert suspended is not None
    with pytest.raises(KeyError, match="later"):
        await suspended.finish(5)


async def test_work_may_catch_what_it_waited_for() -> None:
    failing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    caught: list[str] = []

    async def work() -> None:
        try:
            await failing
        except ConnectionError as error:
            caught.append(str(error))

    suspended = deadline.run(work())
    assert suspended is not None
    failing.set_exception(ConnectionError("away"))
    await suspended.finish(5)
    assert caught == ["away"]


async def test_work_that_hangs_is_cancelled_and_says_how_long_it_had() -> None:
    cleaned: list[bool] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.append(True)

    suspended = deadline.run(work())
    assert suspended is not None
    with pytest.raises(HandlerTimedOut, match=r"0\.01 s"):
        await suspended.finish(0.01)
    assert cleaned == [True]


async def test_a_time_limit_of_the_work_itself_is_its_own() -> None:
    async def work() -> None:
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()

    suspended = deadline.run(work())
    assert suspended is not None
    with pytest.raises(TimeoutError) as raised:
        await suspended.finish(5)
    assert not isinstance(raised.value, HandlerTimedOut)


async def test_a_cancellation_that_the_work_swallows_still_ends_whoever_ran_it() -> None:
    waiting = asyncio.Event()

    async def stubborn() -> None:
        waiting.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return

    async def lane() -> None:
        suspended = deadline.run(stubborn())
        assert suspended is not None
        await suspended.finish(5)

    task = asyncio.create_task(lane())
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_awaitable_that_is_no_coroutine_is_awaited() -> None:
    ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    suspended = deadline.run(ready)
    assert suspended is not None
    ready.set_result(None)
    await suspended.finish(5)
