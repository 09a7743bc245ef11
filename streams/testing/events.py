"""Events of tests: the same ids and times in every run."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import count
from typing import Any, Final

from schemas.catalog import Catalog
from schemas.event import Event, EventData, EventFactory
from schemas.identity import RANDOM_BYTES, uuid7

FIRST_TIME: Final = datetime(2026, 1, 1, tzinfo=UTC)
STEP: Final = timedelta(seconds=1)

Told = EventData | Event[Any]
"""How a test names an event: by its data, or whole where the envelope matters."""


@cache
def packaged_catalog() -> Catalog:
    """The event types of the platform, loaded once."""
    return Catalog.load()


def counting_factory(catalog: Catalog) -> EventFactory:
    """Makes events a second apart, with ids that count."""
    ticks, numbers = count(), count()

    def clock() -> datetime:
        return FIRST_TIME + next(ticks) * STEP

    def ids(timestamp: datetime) -> str:
        at_ms = int(timestamp.timestamp() * 1_000)
        return uuid7(at_ms, next(numbers).to_bytes(RANDOM_BYTES, "big"))

    return EventFactory(catalog, "test", clock, ids)


def whole_event(told: Told, catalog: Catalog, factory: EventFactory) -> Event[Any]:
    """A whole event; one without an id of its aggregate gets that of the only one."""
    if isinstance(told, Event):
        return told
    known = catalog.get(told.event_type)
    if known.aggregate_type is None or known.key is not None:
        return factory.create(told)
    return factory.create(told, aggregate_id=f"{known.aggregate_type}-1")


def difference(what: str, expected: Iterable[object], found: Iterable[object]) -> str:
    """The text of a failed comparison, one line each."""
    return "\n".join([f"{what}", "expected:", *_lines(expected), "but there was:", *_lines(found)])


def data_of(events: Iterable[Told]) -> Sequence[object]:
    """What events are compared by: their data."""
    return [event.data if isinstance(event, Event) else event for event in events]


def _lines(values: Iterable[object]) -> list[str]:
    return [f"  {value!r}" for value in values] or ["  nothing"]
