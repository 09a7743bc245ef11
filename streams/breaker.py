"""A circuit breaker: the state of one dependency, and who may try it. Pure.

CLOSED lets every try through. Outages in a row make it OPEN: nothing is tried for a while. Then it
is HALF_OPEN: one try goes through and decides.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType, Protocol

from streams.policies import Breaker


class BreakerState(StrEnum):
    """What a breaker does with tries."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class BreakerListener(Protocol):
    """Told of each change, at once and in order. Returns at once."""

    def changed(self, name: str, state: BreakerState, reason: str) -> None:
        """The breaker of this name is in this state from now on."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerStatus:
    """What a breaker says of itself. `forced` when the state was ordered."""

    name: str
    state: BreakerState
    reason: str
    for_s: float
    """How long it has been in this state, in seconds."""

    forced: bool
    waiting: int = 0
    """How many pieces of work wait for it."""


Permit = NewType("Permit", int)
"""A try that was let through; its outcome must be told once."""


class CircuitBreaker:
    """The state machine; `clock` in seconds, never set back.

    What a try of an earlier state brings is not counted: an outage from before the dependency came
    back says nothing of now.
    """

    def __init__(
        self,
        name: str,
        policy: Breaker,
        clock: Callable[[], float],
        listeners: list[BreakerListener] | None = None,
    ) -> None:
        """`listeners` may grow later."""
        self.name = name
        self.policy = policy
        self._clock = clock
        self._listeners = [] if listeners is None else listeners
        self._state = BreakerState.CLOSED
        self._reason = "nothing has failed"
        self._since = clock()
        self._number = 0
        self._failures = 0
        self.is_calm = True
        """Whether all tries pass and none has failed since a success: no success need be told."""
        self._first_failure = 0.0
        self._probe_at = 0.0
        self._is_probed = False
        self._forced = False

    @property
    def state(self) -> BreakerState:
        """The state now. OPEN until somebody asks for the try that is due."""
        return self._state

    @property
    def status(self) -> BreakerStatus:
        """State, reason, and for how long."""
        return BreakerStatus(
            name=self.name,
            state=self._state,
            reason=self._reason,
            for_s=self._clock() - self._since,
            forced=self._forced,
        )

    @property
    def probe_in_s(self) -> float | None:
        """Seconds until a try may look at the dependency; None when that hangs on something else.

        That is while all tries pass, while one is on its way, and while it is held open.
        """
        if self._state is BreakerState.CLOSED or self._is_probed or self._forced:
            return None
        return max(0.0, self._probe_at - self._clock())

    @property
    def permit(self) -> Permit:
        """That of a try which begins while it is calm."""
        return Permit(self._number)

    def admit(self) -> Permit | None:
        """Let a try through, or not."""
        if self._state is not BreakerState.CLOSED:
            if self.probe_in_s != 0.0:
                return None
            self._is_probed = True
            if self._state is BreakerState.OPEN:
                self._become(BreakerState.HALF_OPEN, f"one try looks again after: {self._reason}")
        return Permit(self._number)

    def succeeded(self, permit: Permit) -> None:
        """The dependency has answered."""
        if permit != self._number or self._forced:
            return
        self._failures = 0
        self.is_calm = self._state is BreakerState.CLOSED
        if self._state is BreakerState.HALF_OPEN:
            self._become(BreakerState.CLOSED, "a try has succeeded")

    def failed(self, permit: Permit, reason: str) -> None:
        """The dependency is away, or too slow."""
        if permit != self._number or self._forced:
            return
        now = self._clock()
        if not self._failures:
            self._first_failure = now
        self._failures += 1
        self.is_calm = False
        if self._state is BreakerState.HALF_OPEN or self._is_enough(now):
            self._open(reason)

    def released(self, permit: Permit) -> None:
        """The try has ended without a word on the dependency: another one may look."""
        if permit == self._number:
            self._is_probed = False

    def force(self, state: BreakerState, reason: str) -> None:
        """Hold it OPEN or CLOSED, whatever comes, until `release`."""
        self._forced = True
        if state is self._state:
            self._reason = reason
        else:
            self._become(state, reason)

    def release(self) -> None:
        """Judge again by what comes: at once by the next try where it was held open."""
        if not self._forced:
            return
        self._forced = False
        self._probe_at = self._clock()

    def _is_enough(self, now: float) -> bool:
        if self._failures >= self.policy.threshold:
            return True
        return self._failures > 1 and now - self._first_failure >= self.policy.open_after_s

    def _open(self, reason: str) -> None:
        self._probe_at = self._clock() + self.policy.timeout_s
        self._become(BreakerState.OPEN, reason)

    def _become(self, state: BreakerState, reason: str) -> None:
        self._state = state
        self._reason = reason
        self._since = self._clock()
        self._failures = 0
        self.is_calm = state is BreakerState.CLOSED
        self._is_probed = state is BreakerState.HALF_OPEN
        self._number += 1
        for listener in self._listeners:
            listener.changed(self.name, state, reason)
