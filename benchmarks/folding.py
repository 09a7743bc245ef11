"""The fold that rebuilds are measured with: counts per file, each event told to the meter."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from benchmarks.contract import Measurement, Meter
from schemas.event import Event
from streams.projection import KeptIn, Projection, State

NAME = "per-file"


def counting(meter: Meter) -> Projection:
    """How many events and how many lines each file has had."""

    def count(state: State, event: Event[Any]) -> State:
        lines = event.data.lines
        state["events"] = state.get("events", 0) + 1
        state["lines"] = state.get("lines", 0) + lines
        aggregate = event.aggregate
        meter.handled(event.type, "" if aggregate is None else aggregate.id, lines)
        return state

    return Projection(
        name=NAME, patterns=("analysis.*",), fold=count, initial=dict, kept_in=KeptIn.POSTGRES
    )


class Stopwatch:
    """Takes the time of all of a rebuild, from the first query to the last commit."""

    def __init__(self) -> None:
        self._began = (time.perf_counter(), time.process_time())

    def measurement(self, meter: Meter) -> Measurement:
        """What the meter has counted, in the time until now."""
        began, cpu_began = self._began
        return replace(
            meter.measurement(),
            seconds=time.perf_counter() - began,
            cpu_seconds=time.process_time() - cpu_began,
        )
