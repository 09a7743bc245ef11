"""When to try again.

Pure schedules and the split between a failing event and failing infrastructure.
"""

import errno
import socket
from dataclasses import dataclass
from typing import Final

from schemas.errors import WundrError
from streams.errors import VersionConflict

LARGEST_EXPONENT: Final = 64
"""An outage of hours has thousands of tries: beyond this the power would overflow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySchedule:
    """A bounded number of tries with growing delays, in seconds."""

    tries: int = 3
    first_delay_s: float = 0.2
    factor: float = 4.0
    longest_delay_s: float = 10.0

    def delay_s(self, failures: int) -> float:
        """How long to wait after this many failures (1 = the first)."""
        growth = self.factor ** min(failures - 1, LARGEST_EXPONENT)
        return min(self.longest_delay_s, self.first_delay_s * growth)

    def exhausted(self, failures: int) -> bool:
        """Whether no try is left after this many failures."""
        return failures >= self.tries


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
