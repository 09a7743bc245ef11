"""In which order systems run, and on how many events. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

ItemT = TypeVar("ItemT")

MARGIN: Final = 1.15
"""A run is sized for this much more than the rate that is known: few runs fall short then."""


def order(systems: Sequence[ItemT], round_number: int) -> list[ItemT]:
    """Forwards in even rounds, backwards in odd ones: what drifts helps nobody."""
    return list(systems) if round_number % 2 == 0 else list(reversed(systems))


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How many events a run handles, and how many of them before the time is taken."""

    events: int
    warm_up: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """What a topic has: `events` in all, of which runs take a multiple of `step`."""

    events: int
    step: int


def size_for(rate: float, seconds: float, min_warm_up: int, supply: Supply) -> Size:
    """The size of a run of `seconds` after a second of warm-up, as far as the topic goes.

    `min_warm_up` events are warm-up also where that leaves less to measure, but never more than
    three quarters of the topic.
    """
    warm_up = max(_steps(rate * min(1.0, seconds / 5), supply.step), min_warm_up)
    warm_up = min(warm_up, max(supply.step, supply.events * 3 // 4 // supply.step * supply.step))
    events = min(warm_up + _steps(rate * seconds * MARGIN, supply.step), supply.events)
    if events <= warm_up:
        warm_up = events // 2
    return Size(events=events, warm_up=warm_up)


def is_long_enough(seconds: float, wanted: float, size: Size, supply: Supply) -> bool:
    """Whether a run counts: it took the time, or there was nothing more to take."""
    return seconds >= wanted or size.events >= supply.events


def fits_another_round(elapsed: float, last_round: float, budget: float) -> bool:
    """Whether a round as long as the last one would end within the budget; all in seconds."""
    return elapsed + last_round <= budget


def _steps(count: float, step: int) -> int:
    return max(1, -(-round(count) // step)) * step
