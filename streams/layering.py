"""Putting the layers of its policies around a handler's function."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from streams.attempts import Attempts
from streams.breaker import Permit
from streams.breakers import Breakers, Gate
from streams.edges import Edges
from streams.handler import BatchHandler, Handler
from streams.policies import Breaker, Function
from streams.workload import Workload

TIMER_S: Final = 0.01
"""How much too early an event loop may end a time limit: its timers count in milliseconds."""

HandlerT = TypeVar("HandlerT", Handler, BatchHandler)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layering:
    """What layers need to know: the breakers of the process, and which errors are outages."""

    breakers: Breakers
    attempts: Attempts
    clock: Callable[[], float] = time.monotonic

    def around(self, handler: HandlerT) -> HandlerT:
        """The handler with its layers; the same one where it has none."""
        layers = handler.policies.layers
        if not layers:
            return handler
        function: Function = handler.function
        for layer in reversed(layers):
            if isinstance(layer, Breaker):
                gate = self.breakers.gate(layer.name or handler.name, layer)
                function = _Guard(function, gate, handler, self)
            else:
                function = layer(function)
        return replace(handler, function=function)


def layered(workload: Workload, edges: Edges) -> Workload:
    """The workload with the layers of its handlers."""
    layering = Layering(breakers=edges.breakers, attempts=edges.attempts)
    return replace(
        workload,
        handlers=tuple(layering.around(handler) for handler in workload.handlers),
        batch_handlers=tuple(layering.around(handler) for handler in workload.batch_handlers),
    )


def without_breakers(handler: Handler | BatchHandler) -> Function:
    """The function with a team's own layers alone, for whoever runs it beside the flow."""
    function: Function = handler.function
    for layer in reversed(handler.policies.layers):
        if not isinstance(layer, Breaker):
            function = layer(function)
    return function


class _Guard:
    """A try goes through the gate, and its outcome is told to it.

    While the breaker is calm nothing is asked and no success is told: that is each event's way.
    """

    __slots__ = ("_breaker", "_clock", "_function", "_gate", "_handler", "_is_outage")

    def __init__(
        self, function: Function, gate: Gate, handler: Handler | BatchHandler, layering: Layering
    ) -> None:
        self._function = function
        self._gate = gate
        self._breaker = gate.breaker
        self._handler = handler
        self._clock = layering.clock
        self._is_outage = layering.attempts.is_outage

    async def __call__(self, event: Any, context: Any) -> None:
        """Raises BreakerOpen, or what the function raises."""
        breaker = self._breaker
        permit = breaker.permit if breaker.is_calm else self._gate.admit()
        began = self._clock()
        try:
            await self._function(event, context)
        except BaseException as error:
            self._judge(permit, error, self._clock() - began)
            raise
        if not breaker.is_calm:
            self._gate.succeeded(permit)

    def _judge(self, permit: Permit, error: BaseException, took_s: float) -> None:
        handler = self._handler
        if self._is_outage(error, handler.retry):
            self._gate.failed(permit, f"{type(error).__name__}: {error}")
        elif took_s + TIMER_S >= handler.deadline_s:
            self._gate.failed(permit, f"{handler.name} took more than {handler.deadline_s:g} s")
        else:
            self._gate.released(permit)
