"""When to try again.

Pure schedules, rules for single errors, and the split between a failing event and failing
infrastructure.
"""

import errno
import socket
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from schemas.errors import SchemaError, WundrError
from streams.errors import InfrastructureError, VersionConflict

LARGEST_EXPONENT: Final = 64
"""An outage of hours has thousands of tries: beyond this the power would overflow."""

Chance = Callable[[], float]
"""A source of numbers from 0 up to 1, such as `random.random`."""


class Answer(StrEnum):
    """What an error is answered with, other than by a schedule."""

    NEVER = "never"
    """No further try can help: this event has failed."""

    PAUSE = "pause"
    """Something is away: the subscription waits for it, and no try is counted."""


class ErrorKind(StrEnum):
    """Errors of the platform by what they say of themselves, infrastructure left out."""

    RETRYABLE = "retryable"
    FINAL = "final"


@dataclass(frozen=True, slots=True)
class RetryRule:
    """How errors of one type or kind are answered."""

    error: type[BaseException] | ErrorKind
    answer: "Answer | RetrySchedule"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySchedule:
    """A bounded number of tries with growing delays, in seconds.

    `jitter` is the share of a delay that is left to chance: handlers that have failed together do
    not come back together. `rules` say otherwise for some errors.
    """

    tries: int = 3
    first_delay_s: float = 0.2
    factor: float = 4.0
    longest_delay_s: float = 10.0
    jitter: float = 0.0
    rules: tuple[RetryRule, ...] = ()

    def delay_s(self, failures: int, chance: Chance | None = None) -> float:
        """How long to wait after this many failures (1 = the first); never above the longest."""
        growth = self.factor ** min(failures - 1, LARGEST_EXPONENT)
        delay_s = min(self.longest_delay_s, self.first_delay_s * growth)
        return delay_s if chance is None else delay_s * (1 - self.jitter * chance())

    def exhausted(self, failures: int) -> bool:
        """Whether no try is left after this many failures."""
        return failures >= self.tries

    def answer(
        self, error: BaseException, outages: tuple[type[BaseException], ...] = ()
    ) -> "Answer | RetrySchedule":
        """What this error is answered with: the rule of its nearest type, else of its kind.

        Without one: a pause for infrastructure, no further try for an error of the contract
        (SchemaError), this schedule for all others.
        """
        rule = self._rule_of(error) if self.rules else None
        if rule is not None:
            return rule.answer
        if is_infrastructure(error, outages):
            return Answer.PAUSE
        return Answer.NEVER if isinstance(error, SchemaError) else self

    def _rule_of(self, error: BaseException) -> RetryRule | None:
        by_error = {rule.error: rule for rule in self.rules}
        for ancestor in type(error).__mro__:
            if ancestor in by_error:
                return by_error[ancestor]
        if not isinstance(error, WundrError) or isinstance(error, InfrastructureError):
            return None
        return by_error.get(ErrorKind.RETRYABLE if error.retryable else ErrorKind.FINAL)


OUTAGES: Final[tuple[type[BaseException], ...]] = (ConnectionError, TimeoutError, socket.gaierror)
"""Errors that say by their type that something outside is away."""

UNREACHABLE: Final = frozenset(
    {
        errno.ECONNREFUSED,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ETIMEDOUT,
    }
)
"""Errors of the operating system that say the same by their number."""


def is_infrastructure(error: BaseException, outages: tuple[type[BaseException], ...] = ()) -> bool:
    """Whether something outside is away, rather than that this event cannot be handled.

    `outages` are the errors by which a handler's own clients say so. A version conflict can be
    tried again, but where it comes back each time it is about this event alone.
    """
    if isinstance(error, VersionConflict):
        return False
    if isinstance(error, WundrError):
        return error.retryable
    if isinstance(error, (*OUTAGES, *outages)):
        return True
    return isinstance(error, OSError) and error.errno in UNREACHABLE
