import asyncio
from itertools import islice

import pytest

from connectors.backoff import delays, pause, until_available
from connectors.errors import AppendOnly, DatabaseUnavailable


def test_delays_double_up_to_the_longest() -> None:
    assert list(islice(delays(0.5, 3.0), 5)) == [0.5, 1.0, 2.0, 3.0, 3.0]


class _Failing:
    def __init__(self, *outcomes: Exception | str) -> None:
        self.outcomes = list(outcomes)

    async def __call__(self) -> str:
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


async def test_what_is_away_is_tried_again_until_it_answers() -> None:
    heard: list[str | None] = []
    attempt = _Failing(DatabaseUnavailable(), DatabaseUnavailable(), "here")
    result = await until_available(
        attempt, schedule=delays(0, 0), stop=asyncio.Event(), waiting=heard.append
    )
    assert result == "here"
    assert heard == [DatabaseUnavailable.code, DatabaseUnavailable.code, None]


async def test_a_refusal_is_not_tried_again() -> None:
    attempt = _Failing(AppendOnly(), "never")
    with pytest.raises(AppendOnly):
        await until_available(
            attempt, schedule=delays(0, 0), stop=asyncio.Event(), waiting=lambda _code: None
        )
    assert attempt.outcomes == ["never"]


async def test_a_stop_ends_the_waiting_but_not_the_first_try() -> None:
    stop = asyncio.Event()
    stop.set()
    given = await until_available(
        _Failing("done"), schedule=delays(9, 9), stop=stop, waiting=lambda _code: None
    )
    away = await until_available(
        _Failing(DatabaseUnavailable()),
        schedule=delays(9, 9),
        stop=stop,
        waiting=lambda _code: None,
    )
    assert (given, away) == ("done", None)


async def test_a_pause_ends_at_once_when_stopped() -> None:
    stop = asyncio.Event()
    waiting = asyncio.create_task(pause(3600, stop))
    stop.set()
    await asyncio.wait_for(waiting, 5)
