"""The breakers of one process: waiting for them, and orders that hold them open or closed."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

import structlog

from streams.breaker import BreakerListener, BreakerState, BreakerStatus, CircuitBreaker, Permit
from streams.errors import BreakerOpen
from streams.policies import Breaker

LOST_PROBE_S: Final = 1.0
"""After this the next one is let go where a try was due, and whoever was let go has not tried."""

log = structlog.get_logger(__name__)


class Gate:
    """A breaker that can be waited for: one timer, however much waits."""

    def __init__(self, breaker: CircuitBreaker) -> None:
        self.breaker = breaker
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def name(self) -> str:
        """The dependency."""
        return self.breaker.name

    @property
    def status(self) -> BreakerStatus:
        """What the breaker says, and how much waits."""
        return replace(self.breaker.status, waiting=len(self._waiting))

    def admit(self) -> Permit:
        """Let a try through; its outcome must be told. Raises BreakerOpen."""
        permit = self.breaker.admit()
        if permit is None:
            status = self.breaker.status
            verb = "is held" if status.forced else "is"
            raise BreakerOpen(
                f"breaker {self.name} {verb} {status.state.value}: {status.reason}", self.admission
            )
        return permit

    def succeeded(self, permit: Permit) -> None:
        """See CircuitBreaker."""
        self.breaker.succeeded(permit)
        self._settle()

    def failed(self, permit: Permit, reason: str) -> None:
        """See CircuitBreaker."""
        self.breaker.failed(permit, reason)
        self._settle()

    def released(self, permit: Permit) -> None:
        """See CircuitBreaker."""
        self.breaker.released(permit)
        self._settle()

    def force(self, state: BreakerState, reason: str) -> None:
        """See CircuitBreaker."""
        self.breaker.force(state, reason)
        self._settle()

    def release(self) -> None:
        """See CircuitBreaker."""
        self.breaker.release()
        self._settle()

    async def admission(self) -> None:
        """Return when a try is worth it: all may when it is closed, else one after the other."""
        if self.breaker.state is BreakerState.CLOSED:
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        self._settle()
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._let_go()
            raise
        finally:
            with suppress(ValueError):
                self._waiting.remove(waiter)

    def _settle(self) -> None:
        """Let all go, or see to it that the next one goes when a try is due."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.breaker.state is BreakerState.CLOSED:
            while self._waiting:
                self._let_go()
        elif self._waiting:
            due_s = self.breaker.probe_in_s
            if due_s is not None:
                self._let_go_in(due_s)

    def _let_go_in(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(seconds, self._is_due)

    def _is_due(self) -> None:
        self._timer = None
        due_s = self.breaker.probe_in_s
        if due_s:
            self._let_go_in(due_s)
        elif due_s is not None:
            self._let_go()
            if self._waiting:
                self._let_go_in(LOST_PROBE_S)

    def _let_go(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return


class Breakers:
    """All breakers of a process, by their names."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._gates: dict[str, Gate] = {}
        self._orders: dict[str, Mapping[str, Any]] = {}
        self._listeners: list[BreakerListener] = []

    def listen(self, listener: BreakerListener) -> None:
        """Tell `listener` of every change from now on."""
        self._listeners.append(listener)

    def gate(self, name: str, policy: Breaker) -> Gate:
        """The breaker of this name; the first who asks says how it counts."""
        gate = self._gates.get(name)
        if gate is None:
            breaker = CircuitBreaker(name, policy, self._clock, self._listeners)
            gate = self._gates[name] = Gate(breaker)
            self._obey(gate, self._orders.get(name))
        return gate

    @property
    def status(self) -> Sequence[BreakerStatus]:
        """All of them, by name."""
        return [gate.status for _, gate in sorted(self._gates.items())]

    def ordered(self, key: str, order: Mapping[str, Any] | None) -> None:
        """Follow an order of `wundr.control` whose key is `breaker/<app>/<name>`."""
        name = key.split("/", 2)[-1]
        if order is None:
            self._orders.pop(name, None)
        else:
            self._orders[name] = order
        gate = self._gates.get(name)
        if gate is not None:
            self._obey(gate, order, is_news=True)

    @staticmethod
    def _obey(gate: Gate, order: Mapping[str, Any] | None, *, is_news: bool = False) -> None:
        if order is None:
            if is_news:
                gate.release()
            return
        if order.get("state") not in (BreakerState.OPEN, BreakerState.CLOSED):
            log.warning(
                "an order for a breaker says no state", breaker=gate.name, order=dict(order)
            )
            return
        gate.force(BreakerState(order["state"]), str(order.get("reason") or "ordered"))


def breaker_key(app: str, name: str) -> str:
    """The key of the orders for one breaker; with an empty name the prefix of all of an app."""
    return f"breaker/{app}/{name}"
