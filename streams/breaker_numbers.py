"""The states of breakers as numbers."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from streams.breaker import BreakerState
from streams.metric_names import BREAKER
from streams.metrics import Sample

BreakerStates = Callable[[], Mapping[str, BreakerState]]
"""The state of each breaker of a process, by its name."""


@dataclass(frozen=True, slots=True)
class BreakerNumbers:
    """The breakers of a process, as a MetricSource."""

    states: BreakerStates

    def samples(self) -> Iterator[Sample]:
        """See MetricSource."""
        for breaker, present in self.states().items():
            for state in BreakerState:
                yield BREAKER.sample(int(state is present), breaker, state.value)
