"""The ways out of a processor, passed in."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from schemas.event import EventFactory
from streams.attempts import Attempts
from streams.log import RecordSender
from streams.publisher import EventPublisher
from streams.reading import EventReading
from streams.turns import AtOnce, Pace
from streams.work_metrics import WorkMetrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Edges:
    """Bus, log, clock, tries, its share of the time, what it counts."""

    publisher: EventPublisher
    sender: RecordSender
    factory: EventFactory
    reading: EventReading
    attempts: Attempts
    clock: Callable[[], datetime]
    pace: Pace = field(default_factory=AtOnce)
    metrics: WorkMetrics = field(default_factory=WorkMetrics)
