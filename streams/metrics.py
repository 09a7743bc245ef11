"""What a metric is, and who gives its numbers: the port between what counts and what is scraped.

Whoever counts keeps plain numbers. They become samples when somebody asks, and not before.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from streams.histogram import Histogram


class Kind(StrEnum):
    """How a number behaves over time."""

    COUNTER = "counter"
    """It only grows, from 0 at the start of the process."""
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric, named as Prometheus has it: a prefix, base units, `_total` for counters."""

    name: str
    help: str
    kind: Kind
    labels: tuple[str, ...] = ()

    def sample(self, value: "float | Histogram", *labels: str) -> "Sample":
        """A number of it, with a value for each label."""
        assert len(labels) == len(self.labels), f"{self.name} has the labels {self.labels}"
        return Sample(self, labels, value)

    @property
    def series(self) -> tuple[str, ...]:
        """The names under which it is scraped."""
        if self.kind is Kind.HISTOGRAM:
            return tuple(f"{self.name}_{part}" for part in ("bucket", "count", "sum"))
        return (self.name,)


class Sample(NamedTuple):
    """A number at the moment."""

    metric: Metric
    labels: tuple[str, ...]
    value: float | Histogram


class MetricSource(Protocol):
    """Somebody who counts."""

    def samples(self) -> Iterable[Sample]:
        """The numbers as they are now. Takes no time to speak of: the event loop waits."""
        ...


Refresh = Callable[[], Awaitable[None]]
"""Looks up what is not known without asking; raises nothing, and takes a bounded time."""


class Metrics:
    """All sources of one process."""

    def __init__(self) -> None:
        self._sources: list[MetricSource] = []
        self._refreshes: list[Refresh] = []

    def add(self, source: MetricSource) -> None:
        """Show the numbers of one more."""
        self._sources.append(source)

    def before_scrape(self, refresh: Refresh) -> None:
        """Call this once before the numbers are taken."""
        self._refreshes.append(refresh)

    async def scrape(self) -> list[Sample]:
        """All numbers."""
        for refresh in self._refreshes:
            await refresh()
        return [sample for source in self._sources for sample in source.samples()]


def counter(name: str, text: str, *labels: str) -> Metric:
    """Declare a counter."""
    return Metric(name, text, Kind.COUNTER, labels)


def gauge(name: str, text: str, *labels: str) -> Metric:
    """Declare a gauge."""
    return Metric(name, text, Kind.GAUGE, labels)


def histogram(name: str, text: str, *labels: str) -> Metric:
    """Declare a histogram."""
    return Metric(name, text, Kind.HISTOGRAM, labels)
