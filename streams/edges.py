"""The ways out of a processor, passed in."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from schemas.event import EventFactory
from streams.attempts import Attempts
from streams.breakers import Breakers
from streams.log import RecordSender
from streams.parking.lot import ParkingLot
from streams.publisher import EventPublisher
from streams.reading import EventReading
from streams.turns import AtOnce, Pace


@dataclass(frozen=True, slots=True, kw_only=True)
class Edges:
    """Bus, log, clock, tries, what could not be done, its share of the time, breakers."""

    publisher: EventPublisher
    sender: RecordSender
    factory: EventFactory
    reading: EventReading
    attempts: Attempts
    clock: Callable[[], datetime]
    parking: ParkingLot
    pace: Pace = field(default_factory=AtOnce)
    breakers: Breakers = field(default_factory=Breakers)
