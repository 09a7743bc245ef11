"""The numbers of a process in one view, as the ADR has them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from streams.parking.letter import READ
from streams.work_metrics import WorkMetrics


@dataclass(frozen=True, slots=True, kw_only=True)
class EventMetrics:
    """What a process has done with events since it began.

    `avg_processing_time` is in seconds, over all handlers; `failure_rate` the share of tries that
    raised; `dead_letter_queue_size` how many events are parked or stand behind one.
    """

    total_events: int = 0
    events_by_type: Mapping[str, int] = field(default_factory=dict)
    avg_processing_time: float = 0.0
    failure_rate: float = 0.0
    dead_letter_queue_size: int = 0
    circuit_breaker_state: Mapping[str, str] = field(default_factory=dict)

    def as_mapping(self) -> Mapping[str, Any]:
        """For `/live`."""
        return asdict(self)


def event_metrics(work: Sequence[WorkMetrics], breakers: Mapping[str, str]) -> EventMetrics:
    """The view over all subscriptions of a process."""
    by_type: dict[str, int] = {}
    for metrics in work:
        for event_type, events in metrics.events_by_type().items():
            by_type[event_type] = by_type.get(event_type, 0) + events
    timed = [spread for metrics in work for spread in metrics.processing.values()]
    tries = sum(sum(it.handled().values()) + sum(it.retries.values()) for it in work)
    # A record that cannot be read comes to no handler: to read it was the try.
    tries += sum(it.failures.get(READ, 0) for it in work)
    runs = sum(spread.count for spread in timed)
    failures = sum(sum(metrics.failures.values()) for metrics in work)
    return EventMetrics(
        total_events=sum(by_type.values()),
        events_by_type=dict(sorted(by_type.items())),
        avg_processing_time=sum(spread.sum for spread in timed) / runs if runs else 0.0,
        failure_rate=min(1.0, failures / tries) if tries else 0.0,
        dead_letter_queue_size=sum(map(_dead_letters, work)),
        circuit_breaker_state=dict(breakers),
    )


def _dead_letters(metrics: WorkMetrics) -> int:
    """Parked events and those behind them; where nobody parks, all that were given up."""
    return sum(metrics.dead_letters.values()) if metrics.dead is None else metrics.dead()
