"""Numbers of several rounds as one figure, and the noise of the machine. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """The median of the rounds, their spread, and each of them in order."""

    median: float
    min: float
    max: float
    rounds: tuple[float, ...]

    @classmethod
    def of(cls, rounds: Sequence[float]) -> Figure:
        """The figure of one or more rounds."""
        if not rounds:
            raise ValueError("a figure needs a round")
        return cls(median=median(rounds), min=min(rounds), max=max(rounds), rounds=tuple(rounds))

    def to_json(self) -> dict[str, Any]:
        """With four significant digits: more would claim what nobody has measured."""
        return {
            "median": rounded(self.median),
            "min": rounded(self.min),
            "max": rounded(self.max),
            "rounds": [rounded(value) for value in self.rounds],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """How far two runs of the same system lie apart: nothing within `band` is a difference.

    `ratios` has again : first, per round.
    """

    band: float
    ratios: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """As it stands in a result."""
        return {"band": rounded(self.band), "ratios": [rounded(ratio) for ratio in self.ratios]}


def noise(first: Sequence[float], again: Sequence[float]) -> Noise:
    """The noise of an A/A run of one or more rounds."""
    ratios = paired(again, first).rounds
    return Noise(band=max(abs(ratio - 1) for ratio in ratios), ratios=ratios)


def paired(numerators: Sequence[float], denominators: Sequence[float]) -> Figure:
    """The ratio within each round: what slows the machine down slows both."""
    return Figure.of([a / b for a, b in zip(numerators, denominators, strict=True)])


def rounded(value: float) -> float | int:
    """Four significant digits, and no fraction from 10,000 upwards."""
    return float(f"{value:.4g}") if abs(value) < 10_000 else round(value)
