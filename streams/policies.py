"""Policies: what is put around a handler, read from top to bottom.

    @app.on("order.placed", policies=(
        Deduplicate(),                          # copies of an event are left out
        TimeOut(10),                            # each try may take ten seconds
        Retry(tries=5, first_delay_s=1),        # a failing event is tried again
        Breaker("mailer"),                      # an outage of the mailer pauses the subscription
        DeadLetter(),                           # what failed to the last try is parked
        Trace(),
    ))

A callable that takes the handler's function and gives another one is a layer of a team's own: it
runs in each try, inside of what stands above it.
"""

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from streams.errors import InfrastructureError, InvalidHandler
from streams.retry import OUTAGES, Answer, ErrorKind, RetryRule, RetrySchedule

DEADLINE_S: Final = 25.0
"""How long a handler may take: less than the group waits for a member in a rebalance."""

Function = Callable[..., Awaitable[None]]
Layer = Callable[[Function], Function]
PolicyT = TypeVar("PolicyT")


@dataclass(frozen=True, slots=True)
class Deduplicate:
    """Leaves out copies: events whose id stood before in the same partition.

    `remember` is how many ids of a handler are kept in memory, at least. An event that is delivered
    again, as after a crash, is no copy: its work may be unfinished.
    """

    remember: int = 10_000

    def faults(self) -> list[str]:
        """What has to be changed."""
        return _faults((self.remember >= 1, "Deduplicate: `remember` is at least 1"))


@dataclass(frozen=True, slots=True)
class TimeOut:
    """Each try may take so long; then it is cancelled, and has failed."""

    deadline_s: float = DEADLINE_S

    def faults(self) -> list[str]:
        """What has to be changed."""
        return _faults((self.deadline_s > 0, "TimeOut: `deadline_s` is above zero"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """A failing event is tried again, later events of its aggregate wait, all others flow.

    `rules` answer errors by their type, or by the kind that errors of the platform say of
    themselves ("retryable", "final"): with "never", "pause", or another Retry. What says that
    infrastructure is away always pauses.
    """

    tries: int = 3
    first_delay_s: float = 0.2
    factor: float = 4.0
    longest_delay_s: float = 10.0
    jitter: float = 0.0
    rules: Mapping[type[BaseException] | str, "str | Retry"] = field(
        default_factory=dict, hash=False
    )

    @classmethod
    def of(cls, schedule: RetrySchedule) -> "Retry":
        """The policy that has this schedule."""
        return cls(
            tries=schedule.tries,
            first_delay_s=schedule.first_delay_s,
            factor=schedule.factor,
            longest_delay_s=schedule.longest_delay_s,
            jitter=schedule.jitter,
            rules={
                rule.error: rule.answer if isinstance(rule.answer, Answer) else cls.of(rule.answer)
                for rule in schedule.rules
            },
        )

    def schedule(self) -> RetrySchedule:
        """The same as a schedule. Raises ValueError for a rule that has faults."""
        return RetrySchedule(
            tries=self.tries,
            first_delay_s=self.first_delay_s,
            factor=self.factor,
            longest_delay_s=self.longest_delay_s,
            jitter=self.jitter,
            rules=tuple(_rule(error, answer) for error, answer in self.rules.items()),
        )

    def faults(self) -> list[str]:
        """What has to be changed."""
        found = _faults(
            (self.tries >= 1, "Retry: `tries` is at least 1, the first try included"),
            (self.first_delay_s >= 0, "Retry: `first_delay_s` is not below zero"),
            (self.factor >= 1, "Retry: `factor` is at least 1"),
            (
                self.first_delay_s <= self.longest_delay_s < math.inf,
                "Retry: `longest_delay_s` is finite and not below `first_delay_s`",
            ),
            (0 <= self.jitter <= 1, "Retry: `jitter` is a share from 0 to 1"),
        )
        for error, answer in self.rules.items():
            found += _rule_faults(error, answer)
        return found


@dataclass(frozen=True, slots=True)
class Breaker:
    """After `threshold` outages in a row the subscription waits, and looks again by one try.

    So it does when there were nothing but outages, at least two, for `open_after_s`. It looks again
    after `timeout_s`. The dependency has a `name` (the handler's own where it is left out), and
    breakers of one name are one in a process. Only outages and overdue tries count: an event that
    cannot be handled says nothing of a dependency.
    """

    name: str = ""
    threshold: int = field(default=5, kw_only=True)
    timeout_s: float = field(default=10.0, kw_only=True)
    open_after_s: float = field(default=3.0, kw_only=True)

    def faults(self) -> list[str]:
        """What has to be changed."""
        return _faults(
            ("/" not in self.name, "Breaker: a name has no `/`"),
            (self.threshold >= 1, "Breaker: `threshold` is at least 1"),
            (0 < self.timeout_s < math.inf, "Breaker: `timeout_s` is above zero and finite"),
            (self.open_after_s > 0, "Breaker: `open_after_s` is above zero"),
        )


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """An event that failed to the last try is parked, and later ones of its aggregate behind it."""

    def faults(self) -> list[str]:
        """Nothing can be wrong with it."""
        return []


@dataclass(frozen=True, slots=True)
class Trace:
    """Each try is a span of the event's trace, where traces are configured."""

    def faults(self) -> list[str]:
        """Nothing can be wrong with it."""
        return []


Policy = Deduplicate | TimeOut | Retry | Breaker | DeadLetter | Trace | Layer
_OURS: Final = (Deduplicate, TimeOut, Retry, Breaker, DeadLetter, Trace)

ORDERS: Final[tuple[tuple[type, type, str], ...]] = (
    (Deduplicate, Retry, "else a further try would count as a copy"),
    (Deduplicate, Breaker, "a copy needs no dependency"),
    (Retry, Breaker, "a breaker counts single tries"),
)
"""What stands above what, and why."""

DEFAULT: Final[tuple[Policy, ...]] = (TimeOut(), Retry(), DeadLetter(), Trace())
"""What is around a handler of which nothing is said."""


@dataclass(frozen=True, slots=True, init=False)
class PolicyStack:
    """The policies of one handler, found to go together. Raises InvalidHandler.

    `deadline_s` is infinite without TimeOut, `remembers` 0 without Deduplicate. Without Retry there
    is one try.
    """

    policies: tuple[Policy, ...]
    retry: RetrySchedule
    breaker: Breaker | None
    deadline_s: float
    remembers: int
    is_traced: bool

    def __init__(self, policies: tuple[Policy, ...] = DEFAULT) -> None:
        faults = _stack_faults(policies)
        if faults:
            raise InvalidHandler("; ".join(faults))
        time_out, retry = _find(policies, TimeOut), _find(policies, Retry)
        repeats = _find(policies, Deduplicate)
        found: dict[str, Any] = {
            "policies": policies,
            "retry": RetrySchedule(tries=1) if retry is None else retry.schedule(),
            "breaker": _find(policies, Breaker),
            "deadline_s": math.inf if time_out is None else time_out.deadline_s,
            "remembers": 0 if repeats is None else repeats.remember,
            "is_traced": _find(policies, Trace) is not None,
        }
        for name, value in found.items():
            object.__setattr__(self, name, value)

    @property
    def layers(self) -> tuple["Breaker | Layer", ...]:
        """What is called in each try, outermost first."""
        return tuple(
            policy
            for policy in self.policies
            if isinstance(policy, Breaker) or not isinstance(policy, _OURS)
        )


def with_deadline(deadline_s: float) -> PolicyStack:
    """The default stack with another time limit. Raises InvalidHandler."""
    return PolicyStack((TimeOut(deadline_s), *DEFAULT[1:]))


def _find(policies: tuple[Policy, ...], kind: type[PolicyT]) -> PolicyT | None:
    return next((policy for policy in policies if isinstance(policy, kind)), None)


def _stack_faults(policies: tuple[Policy, ...]) -> list[str]:
    faults = []
    for policy in policies:
        if isinstance(policy, _OURS):
            faults += policy.faults()
        elif isinstance(policy, type) or not callable(policy):
            faults.append(f"{policy!r} is no policy: give an instance, such as `Retry()`")
    kinds = [type(policy) for policy in policies if isinstance(policy, _OURS)]
    faults += [
        f"{kind.__name__} stands there twice: leave one out"
        for kind in _OURS
        if kinds.count(kind) > 1
    ]
    faults += [
        f"put {above.__name__} above {below.__name__}: {why}"
        for above, below, why in ORDERS
        if above in kinds and below in kinds and kinds.index(above) > kinds.index(below)
    ]
    return faults + _end_faults(policies)


def _end_faults(policies: tuple[Policy, ...]) -> list[str]:
    """An event that fails must go somewhere, and nothing comes after that."""
    end = next((at for at, known in enumerate(policies) if isinstance(known, DeadLetter)), None)
    if end is None:
        return ["add DeadLetter() at the end: an event that fails to the last try must not vanish"]
    return [
        f"put {_name(policy)} above DeadLetter: below it nothing is tried any more"
        for policy in policies[end + 1 :]
        if not isinstance(policy, DeadLetter | Trace | type)
    ]


def _name(policy: Policy) -> str:
    return type(policy).__name__ if isinstance(policy, _OURS) else repr(policy)


def _rule(error: type[BaseException] | str, answer: "str | Retry") -> RetryRule:
    return RetryRule(
        ErrorKind(error) if isinstance(error, str) else error,
        answer.schedule() if isinstance(answer, Retry) else Answer(answer),
    )


def _rule_faults(error: type[BaseException] | str, answer: "str | Retry") -> list[str]:
    if isinstance(error, str):
        if error not in set(ErrorKind):
            return [f'Retry: a rule is for a type of errors, "retryable" or "final", not {error!r}']
    elif issubclass(error, (InfrastructureError, *OUTAGES)) and answer != Answer.PAUSE:
        return [f"Retry: leave out the rule for {error.__name__}: an outage always pauses"]
    if isinstance(answer, Retry):
        if answer.rules:
            return ["Retry: a rule's Retry has no rules of its own"]
        return answer.faults()
    if answer not in set(Answer):
        return [f'Retry: a rule says "never", "pause" or Retry(...), not {answer!r}']
    return []


def _faults(*checks: tuple[bool, str]) -> list[str]:
    return [fault for holds, fault in checks if not holds]


DEFAULT_STACK: Final = PolicyStack()
