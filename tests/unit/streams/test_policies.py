"""Policies around a handler: what goes together, and the schedule that Retry stands for."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import SchemaError, WundrError
from streams.app import App
from streams.context import Context
from streams.errors import BrokerUnavailable, InvalidHandler, VersionConflict
from streams.handler import Handler
from streams.policies import (
    Breaker,
    DeadLetter,
    Deduplicate,
    Policy,
    PolicyStack,
    Retry,
    TimeOut,
    Trace,
)
from streams.retry import Answer, RetrySchedule


async def react(event: Any, context: Context) -> None:
    """A handler that does nothing."""


def own_layer(function: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """A layer that does nothing."""
    return function


def handler_with(*policies: Policy) -> Handler:
    app = App("team")
    app.on("analysis.started", policies=policies)(react)
    return app.handlers[0]


def test_a_handler_of_which_nothing_is_said_has_a_time_limit_tries_and_dead_letters() -> None:
    app = App("team")
    app.on("analysis.started")(react)
    stack = app.handlers[0].policies
    assert stack.policies == (TimeOut(25.0), Retry(), DeadLetter(), Trace())
    assert (stack.deadline_s, stack.retry, stack.breaker) == (25.0, RetrySchedule(), None)
    assert stack.remembers == 0
    assert stack.is_traced


def test_deadline_s_is_the_short_word_for_a_time_limit() -> None:
    app = App("team")
    app.on("analysis.started", deadline_s=2)(react)
    assert app.handlers[0].policies == PolicyStack((TimeOut(2), Retry(), DeadLetter(), Trace()))


def test_all_policies_are_kept_on_the_handler() -> None:
    handler = handler_with(
        Deduplicate(remember=7),
        TimeOut(25),
        Retry(tries=5, first_delay_s=1.0, factor=2, longest_delay_s=300, jitter=0.2),
        Breaker("mailer", threshold=5, timeout_s=10),
        DeadLetter(),
        Trace(),
    )
    stack = handler.policies
    assert stack.breaker == Breaker("mailer", threshold=5, timeout_s=10)
    assert (stack.remembers, handler.deadline_s, handler.retry.tries) == (7, 25, 5)
    assert [handler.retry.delay_s(failures) for failures in (1, 2, 3)] == [1, 2, 4]


def test_without_a_time_limit_there_is_none_and_without_retry_one_try() -> None:
    handler = handler_with(DeadLetter())
    assert handler.deadline_s == math.inf
    assert handler.retry.exhausted(1)


@pytest.mark.parametrize(
    ("policies", "what"),
    [
        ((TimeOut(1), Retry()), r"add DeadLetter\(\) at the end"),
        ((DeadLetter(), Retry()), "put Retry above DeadLetter"),
        ((Retry(), DeadLetter(), TimeOut(1)), "put TimeOut above DeadLetter"),
        ((DeadLetter(), own_layer), "above DeadLetter: below it nothing is tried"),
        ((Breaker("x"), Retry(), DeadLetter()), "put Retry above Breaker"),
        ((Retry(), Deduplicate(), DeadLetter()), "put Deduplicate above Retry"),
        ((Retry(), Retry(tries=2), DeadLetter()), "Retry stands there twice"),
        ((Breaker("x"), Breaker("y"), DeadLetter()), "Breaker stands there twice"),
        ((DeadLetter(), DeadLetter()), "DeadLetter stands there twice"),
        ((Retry(tries=0), DeadLetter()), "`tries` is at least 1"),
        ((Retry(first_delay_s=-1), DeadLetter()), "`first_delay_s` is not below zero"),
        ((Retry(first_delay_s=20), DeadLetter()), "`longest_delay_s` is finite and not below"),
        ((Retry(longest_delay_s=math.inf), DeadLetter()), "`longest_delay_s` is finite"),
        ((Retry(factor=0.5), DeadLetter()), "`factor` is at least 1"),
        ((Retry(jitter=1.5), DeadLetter()), "`jitter` is a share"),
        ((TimeOut(0), DeadLetter()), "`deadline_s` is above zero"),
        ((TimeOut(math.nan), DeadLetter()), "`deadline_s` is above zero"),
        ((Deduplicate(0), DeadLetter()), "`remember` is at least 1"),
        ((Breaker("a/b"), DeadLetter()), "a name has no `/`"),
        ((Breaker("x", threshold=0), DeadLetter()), "`threshold` is at least 1"),
        ((Breaker("x", timeout_s=0), DeadLetter()), "`timeout_s` is above zero"),
        ((Breaker("x", open_after_s=0), DeadLetter()), "`open_after_s` is above zero"),
        ((Retry, DeadLetter()), "is no policy: give an instance"),
        (("retry", DeadLetter()), "'retry' is no policy"),
        ((Retry(rules={ValueError: "sometimes"}), DeadLetter()), 'says "never", "pause" or'),
        ((Retry(rules={"odd": "never"}), DeadLetter()), '"retryable" or "final", not \'odd\''),
        ((Retry(rules={ConnectionError: "never"}), DeadLetter()), "leave out the rule for Conn"),
        ((Retry(rules={BrokerUnavailable: Retry()}), DeadLetter()), "an outage always pauses"),
        ((Retry(rules={KeyError: Retry(tries=0)}), DeadLetter()), "`tries` is at least 1"),
        (
            (Retry(rules={KeyError: Retry(rules={ValueError: "never"})}), DeadLetter()),
            "has no rules of its own",
        ),
    ],
)
def test_policies_that_contradict_are_refused_with_what_to_change(
    policies: tuple[Any, ...], what: str
) -> None:
    with pytest.raises(InvalidHandler, match=what):
        handler_with(*policies)


def test_every_contradiction_is_named_at_once() -> None:
    with pytest.raises(InvalidHandler, match=r"tries.*jitter.*add DeadLetter"):
        handler_with(Retry(tries=0, jitter=2))


def test_a_time_limit_is_said_once() -> None:
    with pytest.raises(InvalidHandler, match=r"say TimeOut\(2\) among the policies"):
        App("team").on("analysis.started", deadline_s=2, policies=(DeadLetter(),))


def test_breakers_of_one_name_count_alike() -> None:
    app = App("team")
    app.on("analysis.started", policies=(Breaker("mailer"), DeadLetter()))(react)
    other = app.on(
        "analysis.*", name="other", policies=(Breaker("mailer", threshold=2), DeadLetter())
    )
    with pytest.raises(InvalidHandler, match="other and react share the breaker 'mailer'"):
        other(react)


class SoldOut(WundrError):
    """Says that another try may help."""

    retryable = True


class NoSuchThing(WundrError):
    """Says that no try can help."""


class Odd(LookupError):
    """A team's own."""


RULES = Retry(
    tries=3,
    rules={
        LookupError: "never",
        KeyError: Retry(tries=9),
        OSError: "pause",
        "final": "never",
        "retryable": Retry(tries=7),
    },
).schedule()


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (ValueError(), RULES),
        (IndexError(), Answer.NEVER),
        (Odd(), Answer.NEVER),
        (KeyError(), RetrySchedule(tries=9)),
        (FileNotFoundError(), Answer.PAUSE),
        (NoSuchThing("x"), Answer.NEVER),
        (SoldOut("x"), RetrySchedule(tries=7)),
        (VersionConflict("a", 1, 2), RetrySchedule(tries=7)),
        (BrokerUnavailable("x"), Answer.PAUSE),
        (ConnectionRefusedError(), Answer.PAUSE),
        (MemoryError(), RULES),
    ],
)
def test_an_error_is_answered_by_its_nearest_rule(
    error: BaseException, answer: Answer | RetrySchedule
) -> None:
    assert RULES.answer(error) == answer


def test_without_rules_outages_pause_and_errors_of_the_contract_are_final() -> None:
    schedule = RetrySchedule()
    assert schedule.answer(SchemaError("x")) is Answer.NEVER
    assert schedule.answer(SoldOut("x")) is Answer.PAUSE
    assert schedule.answer(Odd(), outages=(Odd,)) is Answer.PAUSE
    assert schedule.answer(Odd()) is schedule


def test_a_schedule_becomes_a_policy_and_back() -> None:
    assert Retry.of(RULES).schedule() == RULES


@given(
    failures=st.integers(1, 10_000),
    jitter=st.floats(0, 1),
    chance=st.floats(0, 1, exclude_max=True),
)
def test_jitter_only_shortens_and_by_its_share_at_most(
    failures: int, jitter: float, chance: float
) -> None:
    schedule = RetrySchedule(jitter=jitter)
    whole, shown = schedule.delay_s(failures), schedule.delay_s(failures, lambda: chance)
    assert whole * (1 - jitter) - 1e-9 <= shown <= whole <= schedule.longest_delay_s
