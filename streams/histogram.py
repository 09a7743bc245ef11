"""A distribution as counts by bounds: cheap to add to, exact in its sum. Pure."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Final

SECONDS: Final = (
    *(0.00001, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05),
    *(0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0, 3_600.0),
)
"""Bounds for times: from a handler that never waits to a backlog of an hour."""

RECORDS: Final = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000)
"""Bounds for the sizes of batches."""

INFINITE: Final = float("inf")


class Histogram:
    """How often a value was at most each bound; values above all bounds are counted, too."""

    __slots__ = ("_bounds", "_counts", "sum")

    def __init__(self, bounds: Sequence[float] = SECONDS) -> None:
        """`bounds` rise."""
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Count a value, for as many as it stands for."""
        self._counts[bisect_left(self._bounds, value)] += times
        self.sum += value * times

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self._counts)

    def cumulative(self) -> Iterator[tuple[float, int]]:
        """Each bound with the number of values up to it; infinity is the last."""
        total = 0
        for bound, count in zip((*self._bounds, INFINITE), self._counts, strict=True):
            total += count
            yield bound, total
