"""Copies of an event: its id stood before in the same partition, as after a producer's resend."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from schemas.event import Event
from streams.handler import Reaction
from streams.records import RawRecord, TopicPartition

Offsets = dict[str, int]
"""Where an id stood first."""


class _Generation:
    """Ids that came one after the other, by partition."""

    __slots__ = ("by_source", "size")

    def __init__(self) -> None:
        self.by_source: defaultdict[TopicPartition, Offsets] = defaultdict(dict)
        self.size = 0


class _Ids:
    """The latest ids of a handler: the older ones are forgotten when the younger are enough."""

    def __init__(self, remember: int) -> None:
        self._remember = remember
        self._younger = _Generation()
        self._older = _Generation()

    def take_new(self, source: TopicPartition, places: Offsets) -> bool:
        """Note ids in the order of their places; nothing, and False, where one is known already."""
        younger = self._younger.by_source[source]
        older = self._older.by_source.get(source, {})
        if not (younger.keys().isdisjoint(places) and older.keys().isdisjoint(places)):
            return False
        younger.update(places)
        self._grown(len(places))
        return True

    def first(self, source: TopicPartition, event_id: str, offset: int) -> int:
        """Where the id stood first, as far as that is known: here, if nothing is."""
        younger = self._younger.by_source[source]
        known = younger.get(event_id)
        if known is None:
            known = self._older.by_source.get(source, {}).get(event_id, offset)
            self._grown(1)
        younger[event_id] = first = min(known, offset)
        return first

    def _grown(self, by: int) -> None:
        self._younger.size += by
        if self._younger.size >= self._remember:
            self._older, self._younger = self._younger, _Generation()


class Copies:
    """The latest ids of each handler, each with the place where it was first seen.

    The place tells a copy from the same record that is read again: its work may be unfinished, and
    is done again. A copy stands behind the first, so no offset passes the first before it is done.
    """

    def __init__(self) -> None:
        self._seen: dict[str, _Ids] = {}

    def is_copy(self, handler: Reaction, record: RawRecord, event: Event[Any]) -> bool:
        """Whether the handler has had this event from an earlier place of the partition."""
        ids = self._of(handler)
        return ids.first(record.source, event.id, record.offset) < record.offset

    def are_new(
        self, handler: Reaction, records: Sequence[RawRecord], events: Sequence[Event[Any]]
    ) -> bool:
        """Whether there can be no copy among events that the handler takes, all of one partition.

        They are noted then. False where it has to be asked of each of them: this is much at once.
        """
        offsets = [record.offset for record in records]
        places = dict(zip([event.id for event in events], offsets, strict=True))
        is_each_once = len(places) == len(records)
        return is_each_once and self._of(handler).take_new(records[0].source, places)

    def _of(self, handler: Reaction) -> _Ids:
        ids = self._seen.get(handler.name)
        if ids is None:
            ids = self._seen[handler.name] = _Ids(handler.policies.remembers)
        return ids
