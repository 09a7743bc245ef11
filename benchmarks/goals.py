"""The goals of a bench: ratios between figures of one run, and whether they are met. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

from benchmarks.figures import Figure, paired

RATE: Final = "events_per_s"
CPU_RATE: Final = "events_per_cpu_s"


class Bound(StrEnum):
    """On which side of its goal a ratio should be."""

    AT_LEAST = "at_least"
    AT_MOST = "at_most"


class Measured(NamedTuple):
    """A figure: which system, which metric of it."""

    system: str
    metric: str = RATE


Figures = Mapping[str, Mapping[str, Figure]]
"""Figures by system and metric."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One row of the table of goals.

    `of` is divided by `by`; a row about an absolute figure has no `by`.
    """

    row: str
    bound: Bound
    value: float
    of: Measured
    by: Measured | None = None

    def ratio(self, figures: Figures) -> float | None:
        """The ratio of the medians; None when one of the two was not measured."""
        of, by = _find(figures, self.of), _find(figures, self.by)
        if of is None or (self.by is not None and by is None):
            return None
        return of.median / by.median if by is not None else of.median

    def spread(self, figures: Figures) -> Figure | None:
        """The ratio within each round; None when one of the two was not measured."""
        of, by = _find(figures, self.of), _find(figures, self.by)
        if of is None or (self.by is not None and by is None):
            return None
        return paired(of.rounds, by.rounds) if by is not None else of

    def is_met(self, ratio: float | None) -> bool:
        """Whether a ratio is on the right side; what was not measured is not met."""
        if ratio is None:
            return False
        return ratio >= self.value if self.bound is Bound.AT_LEAST else ratio <= self.value


def at_least(value: float, row: str, of: Measured, by: Measured | None = None) -> Goal:
    """A goal that is met from `value` upwards."""
    return Goal(row=row, bound=Bound.AT_LEAST, value=value, of=of, by=by)


def at_most(value: float, row: str, of: Measured, by: Measured | None = None) -> Goal:
    """A goal that is met up to `value`."""
    return Goal(row=row, bound=Bound.AT_MOST, value=value, of=of, by=by)


def all_met(goals: Sequence[Goal], figures: Figures) -> bool:
    """Whether every row is met."""
    return all(goal.is_met(goal.ratio(figures)) for goal in goals)


def _find(figures: Figures, wanted: Measured | None) -> Figure | None:
    return None if wanted is None else figures.get(wanted.system, {}).get(wanted.metric)
