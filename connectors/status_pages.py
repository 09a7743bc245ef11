"""The pages of sinks, relays and projections: their status as numbers and as readiness."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from connectors.catch_up_status import CatchUpStatus
from connectors.metric_names import (
    CATCH_UP_LIVE,
    CATCH_UP_NEXT,
    CAUGHT_UP_EVENTS,
    FENCED,
    OUTBOX_AGE,
    OUTBOX_HOLDER,
    OUTBOX_HORIZON,
    OUTBOX_WAITING,
    PROJECTED,
    PROJECTION_BEHIND,
    PROJECTION_STATE,
    RELAY_ALARM,
    RELAY_EPOCH,
    RELAY_INTERRUPTIONS,
    RELAY_OWNED,
    RELAY_WAITING,
    RELAYED,
    REPEATED,
    SINK_BATCH,
    SINK_INTERRUPTIONS,
    SINK_LAG,
    SINK_LETTERS,
    SINK_NEXT,
    SINK_WAITING,
    STORED,
    TAKEN_OVER,
)
from connectors.outbox_relay import OutboxRelay
from connectors.projector import Projector, ProjectorState, status_of
from connectors.relay_status import RelayStatus
from connectors.sink_status import SinkStatus
from connectors.store_sink import StoreSink
from streams.event_metrics import EventMetrics
from streams.metrics import MetricSource, Sample
from streams.pages import Facts, Pages

AT_WORK: Final = frozenset({ProjectorState.FOLDING, ProjectorState.STANDBY})
"""States in which nothing is wrong with a projection."""


@dataclass(frozen=True, slots=True)
class SinkNumbers:
    """What a sink has counted, as a MetricSource."""

    status: SinkStatus

    def samples(self) -> Iterator[Sample]:
        """See MetricSource."""
        status = self.status
        yield STORED.sample(status.stored)
        yield REPEATED.sample(status.repeated)
        yield SINK_LETTERS.sample(status.dead_letters)
        yield FENCED.sample(status.fenced)
        yield SINK_INTERRUPTIONS.sample(status.interruptions)
        yield SINK_WAITING.sample(int(status.waiting_for is not None))
        yield SINK_BATCH.sample(status.batches)
        for partition, following in status.next.items():
            yield SINK_NEXT.sample(following, str(partition))
        for partition, records in status.lag().items():
            yield SINK_LAG.sample(records, str(partition))

    def not_ready(self) -> str | None:
        """Why nothing is stored; a sink without partitions stands by, and is ready."""
        if self.status.waiting_for is not None:
            return f"waits: {self.status.waiting_for}"
        return "has not joined its group yet" if self.status.step is None else None

    def event_metrics(self) -> EventMetrics:
        """The ADR's view."""
        return EventMetrics(
            total_events=self.status.stored + self.status.repeated,
            dead_letter_queue_size=self.status.dead_letters,
        )


@dataclass(frozen=True, slots=True)
class RelayNumbers:
    """What a relay has counted, as a MetricSource."""

    status: RelayStatus
    shards: Sequence[int]

    def samples(self) -> Iterator[Sample]:
        """See MetricSource."""
        status, delay = self.status, self.status.delay
        yield RELAYED.sample(status.sent)
        yield TAKEN_OVER.sample(status.taken_over)
        yield RELAY_INTERRUPTIONS.sample(status.interruptions)
        yield RELAY_WAITING.sample(len(status.waiting_for))
        yield RELAY_ALARM.sample(len(status.alarms))
        yield OUTBOX_WAITING.sample(delay.waiting)
        yield OUTBOX_AGE.sample(delay.oldest_s)
        yield OUTBOX_HOLDER.sample(delay.holder_s)
        yield OUTBOX_HORIZON.sample(delay.horizon_s)
        for shard in self.shards:
            yield RELAY_OWNED.sample(int(shard in status.owned), str(shard))
        for shard, epoch in status.epochs.items():
            yield RELAY_EPOCH.sample(epoch, str(shard))

    def not_ready(self) -> str | None:
        """Why events cannot be sent; a relay that stands by for others is ready."""
        if self.status.waiting_for:
            waits = sorted(self.status.waiting_for.items())
            return ", ".join(f"shard {shard} waits: {code}" for shard, code in waits)
        return None if self.status.is_connected else "has not reached the outbox yet"

    def event_metrics(self) -> EventMetrics:
        """The ADR's view."""
        return EventMetrics(total_events=self.status.sent)


@dataclass(frozen=True, slots=True)
class ProjectionNumbers:
    """What the projections of an app have counted, as a MetricSource."""

    app: str
    projectors: Mapping[str, Projector]

    def samples(self) -> Iterator[Sample]:
        """See MetricSource."""
        for name, projector in self.projectors.items():
            status = projector.status
            yield PROJECTED.sample(status.events, self.app, name)
            yield PROJECTION_BEHIND.sample(status.behind, self.app, name)
            for state in ProjectorState:
                yield PROJECTION_STATE.sample(int(state is status.state), self.app, name, state)

    def not_ready(self) -> str | None:
        """Which projections do not go on, and why."""
        found = [
            f"{name} is {it.status.state}" + _because(it)
            for name, it in self.projectors.items()
            if it.status.state not in AT_WORK
        ]
        return ", ".join(found) or None

    def event_metrics(self) -> EventMetrics:
        """The ADR's view; an event of two projections counts twice."""
        return EventMetrics(total_events=sum(it.status.events for it in self.projectors.values()))


@dataclass(frozen=True, slots=True)
class CatchUpNumbers:
    """What a catch-up subscription has given, as a MetricSource."""

    name: str
    status: CatchUpStatus

    def samples(self) -> Iterator[Sample]:
        """See MetricSource."""
        yield CAUGHT_UP_EVENTS.sample(self.status.events, self.name)
        for partition, following in self.status.next.items():
            yield CATCH_UP_NEXT.sample(following, self.name, str(partition))
            is_live = partition in self.status.live
            yield CATCH_UP_LIVE.sample(int(is_live), self.name, str(partition))

    def not_ready(self) -> str | None:
        """Why no events come; None once history is read."""
        if self.status.waiting_for is not None:
            return f"waits: {self.status.waiting_for}"
        behind = sorted(set(self.status.partitions) - self.status.live)
        return f"reads the history of {len(behind)} partitions" if behind else None

    def event_metrics(self) -> EventMetrics:
        """The ADR's view."""
        return EventMetrics(total_events=self.status.events)


def sink_pages(sink: StoreSink) -> Pages:
    """The pages of a sink."""
    numbers = SinkNumbers(sink.status)
    return _pages(sink.status.as_mapping, numbers, "sink", *sink.counted)


def relay_pages(relay: OutboxRelay) -> Pages:
    """The pages of a relay."""
    numbers = RelayNumbers(relay.status, relay.shards)
    return _pages(relay.status.as_mapping, numbers, "relay", *relay.counted)


def projection_pages(app: str, projectors: Mapping[str, Projector]) -> Pages:
    """The pages of the Postgres projections of an app."""
    numbers = ProjectionNumbers(app, projectors)
    return _pages(lambda: status_of(projectors), numbers, "projections")


def catch_up_pages(name: str, status: CatchUpStatus) -> Pages:
    """The pages of a process that reads a catch-up subscription under this name."""
    numbers = CatchUpNumbers(name, status)
    return _pages(status.as_mapping, numbers, "catch-up")


class _Numbers(MetricSource, Protocol):
    def not_ready(self) -> str | None: ...

    def event_metrics(self) -> EventMetrics: ...


def _pages(live: Facts, numbers: _Numbers, check: str, *others: MetricSource) -> Pages:
    pages = Pages(live)
    pages.show(lambda: {"metrics": numbers.event_metrics().as_mapping()})
    pages.readiness.add(check, numbers.not_ready)
    for source in (numbers, *others):
        pages.metrics.add(source)
    return pages


def _because(projector: Projector) -> str:
    status = projector.status
    if status.failure is not None:
        return f" at {status.failure}"
    return f": {status.waiting_for}" if status.waiting_for else ""
