"""Versions of appended aggregates as places: in its aggregate's entry an event is told by them.

They outlast any window of ids: a relay that was killed sends again whatever it had in hand.
"""

from collections.abc import Sequence
from typing import Any, Final

from schemas.event import Event
from streams.place import Place

VERSIONS: Final = "<versions"
"""The stream of an aggregate's own events."""


def have_versions(events: Sequence[Event[Any]]) -> bool:
    """Whether one of these was appended."""
    return any(
        aggregate.version is not None
        for event in events
        if (aggregate := event.aggregate) is not None
    )


def versioned(place: Place, event: Event[Any]) -> Place:
    """The place of an event in the entry of its aggregate, by its version if it has one."""
    aggregate = event.aggregate
    source, offset, stream, _, is_redriven = place
    if stream is not None or aggregate is None or aggregate.version is None:
        return place
    return source, offset, VERSIONS, aggregate.version, is_redriven
