"""Tries of a failing event are bounded; failing infrastructure pauses and counts none."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable

import pytest

from schemas.errors import NotAnEvent
from streams.attempts import Attempts, Failed
from streams.errors import BrokerUnavailable
from streams.retry import RetrySchedule, is_infrastructure

SCHEDULE = RetrySchedule(tries=3, first_delay_s=0.5, factor=4.0, longest_delay_s=3.0)


class Work:
    """Raises one error per call, then succeeds."""

    def __init__(self, *errors: BaseException) -> None:
        self._errors = list(errors)
        self.calls = 0

    async def __call__(self) -> None:
        self.calls += 1
        if self._errors:
            raise self._errors.pop(0)


def attempts_and_delays() -> tuple[Attempts, list[float]]:
    delays: list[float] = []

    async def sleep(seconds: float) -> None:
        delays.append(seconds)

    return Attempts(SCHEDULE, sleep), delays


async def test_work_that_succeeds_is_run_once() -> None:
    attempts, delays = attempts_and_delays()
    work = Work()
    assert await attempts.run(work, waiting_for="x") is None
    assert (work.calls, delays) == (1, [])


async def test_work_that_recovers_is_not_given_up() -> None:
    attempts, delays = attempts_and_delays()
    work = Work(ValueError("1"), ValueError("2"))
    assert await attempts.run(work, waiting_for="x") is None
    assert (work.calls, delays) == (3, [0.5, 2.0])


async def test_the_third_failure_gives_up_with_the_last_error() -> None:
    attempts, delays = attempts_and_delays()
    last = ValueError("3")
    failed = await attempts.run(Work(ValueError("1"), ValueError("2"), last), waiting_for="x")
    assert failed == Failed(error=last, tries=3)
    assert delays == [0.5, 2.0]


async def test_an_error_of_the_contract_is_not_tried_again() -> None:
    attempts, delays = attempts_and_delays()
    error = NotAnEvent()
    assert await attempts.run(Work(error), waiting_for="x") == Failed(error=error, tries=1)
    assert delays == []


@pytest.mark.parametrize(
    "outage",
    [BrokerUnavailable, ConnectionResetError, TimeoutError],
    ids=lambda error: error.__name__,
)
async def test_failing_infrastructure_counts_no_try(outage: Callable[[], Exception]) -> None:
    attempts, delays = attempts_and_delays()
    work = Work(ValueError("1"), *(outage() for _ in range(20)), ValueError("2"))
    assert await attempts.run(work, waiting_for="x") is None
    assert work.calls == 23
    assert max(delays) == 3.0


async def test_a_pause_says_what_is_waited_for_and_ends_with_the_outage() -> None:
    paused, back = asyncio.Event(), asyncio.Event()

    async def sleep(_: float) -> None:
        paused.set()
        await back.wait()

    attempts = Attempts(SCHEDULE, sleep)
    running = asyncio.create_task(
        attempts.run(Work(BrokerUnavailable("gone")), waiting_for="handler notify")
    )
    await asyncio.wait_for(paused.wait(), 5)
    assert attempts.pause is not None
    assert attempts.pause.waiting_for == "handler notify"
    assert attempts.pause.reason == "BrokerUnavailable: gone"
    back.set()
    assert await running is None
    assert attempts.pause is None


def test_delays_grow_up_to_a_bound_however_long_an_outage_lasts() -> None:
    assert [SCHEDULE.delay_s(failures) for failures in (1, 2, 3, 4)] == [0.5, 2.0, 3.0, 3.0]
    assert SCHEDULE.delay_s(100_000) == 3.0


def test_only_what_is_outside_counts_as_infrastructure() -> None:
    assert is_infrastructure(BrokerUnavailable())
    assert is_infrastructure(ConnectionRefusedError())
    assert not is_infrastructure(NotAnEvent())
    assert not is_infrastructure(KeyError("x"))


async def test_awaiting_something_that_was_cancelled_is_a_failure_of_the_work() -> None:
    attempts, _ = attempts_and_delays()
    work = Work(*(asyncio.CancelledError() for _ in range(3)))
    failed = await attempts.run(work, waiting_for="x")
    assert failed is not None
    assert (type(failed.error), failed.tries) == (asyncio.CancelledError, 3)


async def test_a_cancelled_worker_stops_its_work() -> None:
    attempts, _ = attempts_and_delays()

    async def forever() -> None:
        await asyncio.Event().wait()

    running = asyncio.create_task(attempts.run(forever, waiting_for="x"))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.parametrize(
    "error",
    [
        socket.gaierror(socket.EAI_NONAME, "no such host"),
        OSError(errno.EHOSTUNREACH, "no route to host"),
        OSError(errno.ECONNREFUSED, "refused"),
    ],
)
def test_a_host_that_cannot_be_reached_is_infrastructure(error: OSError) -> None:
    assert is_infrastructure(error)


def test_a_missing_file_is_no_infrastructure() -> None:
    assert not is_infrastructure(FileNotFoundError(errno.ENOENT, "no such file"))


async def test_an_app_names_the_outages_of_its_own_clients() -> None:
    class ServerGoneError(Exception):
        """What a client of a handler raises."""

    attempts = Attempts(SCHEDULE, attempts_and_delays()[0]._sleep, outages=(ServerGoneError,))
    work = Work(*(ServerGoneError() for _ in range(5)))
    assert await attempts.run(work, waiting_for="x") is None
    assert work.calls == 6


async def test_a_pause_is_over_when_an_ordinary_failure_follows_the_outage() -> None:
    pauses: list[bool] = []

    async def sleep(seconds: float) -> None:
        pauses.append(attempts.pause is not None)

    attempts = Attempts(SCHEDULE, sleep)
    await attempts.run(Work(ConnectionError(), ValueError()), waiting_for="x")
    assert pauses == [True, False]


async def test_work_that_comes_to_the_same_every_time_has_one_try_and_waits_for_outages() -> None:
    attempts, delays = attempts_and_delays()
    error = ValueError("always")
    assert await attempts.run_once(Work(error), waiting_for="x") == Failed(error=error, tries=1)
    assert delays == []
    away = Work(BrokerUnavailable("away"), BrokerUnavailable("away"))
    assert await attempts.run_once(away, waiting_for="x") is None
    assert (away.calls, len(delays)) == (3, 2)
