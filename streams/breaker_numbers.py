"""The states of breakers as numbers."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from streams.metric_names import BREAKER
from streams.metrics import Sample

STATES: Final = ("closed", "open", "half_open")
"""The states of a breaker, by the names under which they are told."""

BreakerStates = Callable[[], Mapping[str, str]]
"""The state of each breaker of a process, by its name."""


@dataclass(frozen=True, slots=True)
class BreakerNumbers:
    """The breakers of a process, as a MetricSource."""

    states: BreakerStates

    def samples(self) -> Iterator[Sample]:
        """See MetricSource."""
        for breaker, present in self.states().items():
            for state in STATES:
                yield BREAKER.sample(int(state == present), breaker, state)
