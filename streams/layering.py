"""Putting the layers of its policies around a handler's function."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from streams.attempts import Attempts
from streams.breakers import Breakers
from streams.edges import Edges
from streams.guard import Guard
from streams.handler import BatchHandler, Handler
from streams.policies import Breaker, Function
from streams.workload import Workload

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
                function = Guard(function, gate, handler, self.attempts.is_outage, self.clock)
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
