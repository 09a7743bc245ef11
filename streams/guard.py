"""A handler's function behind a breaker: what comes of each try is told to its gate."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

from streams.breaker import Permit
from streams.breakers import Gate
from streams.handler import BatchHandler, Handler
from streams.policies import Function
from streams.retry import RetrySchedule

TIMER_S: Final = 0.01
"""How much too early an event loop may end a time limit: its timers count in milliseconds."""

IsOutage = Callable[[BaseException, RetrySchedule], bool]
"""See Attempts.is_outage."""


class Guard:
    """A try goes through the gate, and its outcome is told to it.

    While the breaker is calm nothing is asked and no success is told. Then `function` may be called
    as it is by whoever tells of the errors (`judge`) and has the guard watch what waits (`watch`):
    that is each event's way, and costs it next to nothing.
    """

    __slots__ = ("_breaker", "_gate", "_handler", "_is_outage", "clock", "function")

    def __init__(
        self,
        function: Function,
        gate: Gate,
        handler: Handler | BatchHandler,
        is_outage: IsOutage,
        clock: Callable[[], float],
    ) -> None:
        """`handler`: whose function it is, or a layer around that."""
        self.function = function
        self.clock = clock
        self._gate = gate
        self._breaker = gate.breaker
        self._handler = handler
        self._is_outage = is_outage

    @property
    def is_calm(self) -> bool:
        """Whether all tries pass and none has failed since a success."""
        return self._breaker.is_calm

    async def __call__(self, event: Any, context: Any) -> None:
        """Raises BreakerOpen, or what the function raises."""
        breaker = self._breaker
        permit = breaker.permit if breaker.is_calm else self._gate.admit()
        await self._watched(partial(self.function, event, context), permit, self.clock())

    def watch(self, rest: Callable[[], Awaitable[None]], began: float) -> Awaitable[None]:
        """The rest of a try that began then, while all was calm."""
        return self._watched(rest, self._breaker.permit, began)

    def judge(self, error: BaseException, began: float, permit: Permit | None = None) -> None:
        """Tell the gate of a try that has raised; without `permit` one that has not waited."""
        permit = self._breaker.permit if permit is None else permit
        handler = self._handler
        if self._is_outage(error, handler.retry):
            self._gate.failed(permit, f"{type(error).__name__}: {error}")
        elif self.clock() - began + TIMER_S >= handler.deadline_s:
            self._gate.failed(permit, f"{handler.name} took more than {handler.deadline_s:g} s")
        else:
            self._gate.released(permit)

    async def _watched(
        self, work: Callable[[], Awaitable[None]], permit: Permit, began: float
    ) -> None:
        try:
            await work()
        except BaseException as error:
            self.judge(error, began, permit)
            raise
        if not self._breaker.is_calm:
            self._gate.succeeded(permit)
