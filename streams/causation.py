"""The causation tree of an event, out of events in hand; Postgres does the same by a query."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from schemas.event import Event


def causation_tree(events: Iterable[Event[Any]], event_id: str) -> list[Event[Any]]:
    """See EventQueries.get_events_by_causation; `events` in order of time.

    An event that led to itself, which only a mistaken producer can say, is there once.
    """
    by_id: dict[str, Event[Any]] = {}
    caused: defaultdict[str, list[Event[Any]]] = defaultdict(list)
    for event in events:
        by_id[event.id] = event
        if event.causation_id is not None:
            caused[event.causation_id].append(event)
    above: dict[str, Event[Any]] = {}
    at = by_id.get(event_id)
    while at is not None and at.id not in above:
        above[at.id] = at
        at = by_id.get(at.causation_id or "")
    found = dict(reversed(above.items()))
    level = [event_id]
    while level:
        below = [event for cause in level for event in caused[cause] if event.id not in found]
        below.sort(key=lambda event: event.timestamp_ms)
        found |= {event.id: event for event in below}
        level = [event.id for event in below]
    return list(found.values())
