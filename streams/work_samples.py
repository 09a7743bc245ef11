"""From what a subscription has counted to samples. Pure."""

from collections.abc import Collection, Iterator

from streams.metric_names import (
    CHANGELOG_RECORDS,
    DEAD_LETTERS,
    EVENTS,
    FAILURE_RATIO,
    FAILURES,
    HANDLED,
    HANDLER_SECONDS,
    PARKED,
    RETRIES,
    TABLE_BATCH,
    WAIT_SECONDS,
)
from streams.metrics import Sample
from streams.parking.lot import Backlog
from streams.work_metrics import OTHER, WorkMetrics


def work_samples(work: WorkMetrics, known_types: Collection[str]) -> Iterator[Sample]:
    """Everything that is counted; types that are not known are one."""
    name = work.subscription
    by_type: dict[str, int] = {}
    for event_type, events in work.events_by_type().items():
        label = event_type if event_type in known_types else OTHER
        by_type[label] = by_type.get(label, 0) + events
    for event_type, events in by_type.items():
        yield EVENTS.sample(events, name, event_type)
    handled = work.handled()
    for handler in handled.keys() | work.failures.keys() | work.dead_letters.keys():
        events = handled.get(handler, 0)
        yield HANDLED.sample(events, name, handler)
        yield FAILURES.sample(work.failures.get(handler, 0), name, handler)
        yield FAILURE_RATIO.sample(work.failure_ratio(handler, events), name, handler)
        yield RETRIES.sample(work.retries.get(handler, 0), name, handler)
        yield DEAD_LETTERS.sample(work.dead_letters.get(handler, 0), name, handler)
    for handler, spread in work.processing.items():
        yield HANDLER_SECONDS.sample(spread, name, handler)
    for priority, spread in work.waiting.items():
        yield WAIT_SECONDS.sample(spread, name, priority.label)
    parked = Backlog() if work.parked is None else work.parked()
    for state, events in parked._asdict().items():
        yield PARKED.sample(events, name, state)
    if work.table_batches.count:
        yield TABLE_BATCH.sample(work.table_batches, name)
    for table, records in work.changelog_records.items():
        yield CHANGELOG_RECORDS.sample(records, name, table)
