"""Copies of an event: its id stood before in the same partition, as after a producer's resend."""

from collections import OrderedDict, defaultdict
from typing import Any

from schemas.event import Event
from streams.handler import Reaction
from streams.records import Origin, RawRecord


class Copies:
    """The latest ids of each handler, each with the place where it was first seen.

    The place tells a copy from the same record that is read again: its work may be unfinished, and
    is done again. A copy stands behind the first, so no offset passes the first before it is done.
    """

    def __init__(self) -> None:
        self._seen: defaultdict[str, OrderedDict[str, Origin]] = defaultdict(OrderedDict)

    def is_copy(self, handler: Reaction, record: RawRecord, event: Event[Any]) -> bool:
        """Whether the handler has had this event from an earlier place of the partition."""
        seen, place = self._seen[handler.name], record.origin
        first = seen.get(event.id)
        if first is not None and first.source == place.source and first.offset < place.offset:
            seen.move_to_end(event.id)
            return True
        seen[event.id] = place
        if len(seen) > handler.policies.remembers:
            seen.popitem(last=False)
        return False
