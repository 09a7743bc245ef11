"""What a worker says of the deadlines that it fires: on `/live`, `/ready` and `/metrics`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from streams.metric_names import DEADLINE_FAILURES, DEADLINES_FIRED, DEADLINES_PAUSED
from streams.metrics import Sample
from streams.sagas.deadlines import FiringStatus


@dataclass(frozen=True, slots=True)
class DeadlineNumbers:
    """The deadlines that a process fires, by consumer group; a MetricSource.

    How many are pending is no number of a process: `saga_deadlines` has it.
    """

    statuses: Mapping[str, FiringStatus] = field(default_factory=dict)

    def samples(self) -> Iterator[Sample]:
        """See MetricSource."""
        for group, status in self.statuses.items():
            yield DEADLINES_FIRED.sample(status.fired, group)
            yield DEADLINE_FAILURES.sample(status.failed, group)
            yield DEADLINES_PAUSED.sample(int(status.waiting_for is not None), group)

    def facts(self) -> Mapping[str, Any]:
        """For `/live`."""
        return {
            "deadlines": {
                group: {
                    "fired": status.fired,
                    "failed": status.failed,
                    "waiting_for": status.waiting_for,
                    "is_behind": status.is_behind,
                }
                for group, status in self.statuses.items()
            }
        }

    def paused(self) -> Mapping[str, Mapping[str, str]]:
        """For `paused` on `/ready`: what holds the deadlines of which group up."""
        return {
            f"deadlines of {group}": {"reason": status.waiting_for, "waiting_for": "the saga store"}
            for group, status in self.statuses.items()
            if status.waiting_for is not None
        }
