"""Copies of an event: its id stood before in the same partition, as after a producer's resend."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from schemas.event import Event
from streams.handler import Reaction
from streams.records import RawRecord

Place = tuple[str, int, int]
"""Topic, partition, offset."""


@dataclass(slots=True)
class _Ids:
    """The latest ids in two generations: the older one is forgotten when the younger is full."""

    younger: dict[str, Place] = field(default_factory=dict)
    older: dict[str, Place] = field(default_factory=dict)


class Copies:
    """The latest ids of each handler, each with the place where it was first seen.

    The place tells a copy from the same record that is read again: its work may be unfinished, and
    is done again. A copy stands behind the first, so no offset passes the first before it is done.
    """

    def __init__(self) -> None:
        self._seen: defaultdict[str, _Ids] = defaultdict(_Ids)

    def is_copy(self, handler: Reaction, record: RawRecord, event: Event[Any]) -> bool:
        """Whether the handler has had this event from an earlier place of the partition."""
        ids, event_id = self._seen[handler.name], event.id
        first = ids.younger.get(event_id) or ids.older.get(event_id)
        place = record[:3]
        if first is not None and first[:2] == place[:2] and first[2] < place[2]:
            place = first
        ids.younger[event_id] = place
        if len(ids.younger) >= handler.policies.remembers:
            ids.older, ids.younger = ids.younger, {}
        return place is first
