"""Runs that are sized by what was measured: each takes the time that a run should take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from benchmarks.contract import Measurement
from benchmarks.rounds import Size, Supply, is_long_enough, size_for
from benchmarks.system import AGAIN, OURS, System

ATTEMPTS: Final = 3
"""How often a run is made before a short one counts."""


class Sizing:
    """Remembers the rate of each system, and makes a run again that proves too short."""

    def __init__(self, seconds: float, say: Callable[[str], None]) -> None:
        self._seconds = seconds
        self._say = say
        self._rates: dict[str, float] = {}

    def measure(
        self, system: System, supply: Supply, once: Callable[[Size], Measurement]
    ) -> Measurement:
        """One run of sufficient length, as far as the supply goes."""
        name = OURS if system.name == AGAIN else system.name
        attempt = 1
        while True:
            rate = self._rates.get(name, system.rate)
            size = size_for(rate, self._seconds, system.min_warm_up, supply)
            measured = once(size)
            self._rates[name] = measured.events / measured.seconds
            long_enough = is_long_enough(measured.seconds, self._seconds, size, supply)
            if long_enough or attempt == ATTEMPTS:
                return measured
            attempt += 1
            self._say(f"{system.name}: {measured.seconds:.1f} s is too short, again")
