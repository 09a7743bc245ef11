"""Plain events, folded many at once: read where they were published, in order, never seen before.

In C where that is built (`streams/_native_folding.c`), and in Python, which says the same.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Protocol

from schemas.event import Event
from streams import native
from streams.claims import Claims
from streams.coverage import OneSource
from streams.emission import EMISSION
from streams.one_source import OneSourceEntries
from streams.projection import Fold, State
from streams.records import LATE, ORIGIN, RawRecord
from streams.table import OpenEntry
from streams.versions import have_versions

OTHER_PLACES: Final = (ORIGIN, EMISSION, LATE)
"""Headers of records that have another place beside the one where they were read."""

OpenOne = Callable[[bytes], OpenEntry]
"""Opens the entry of a key. What it raises is raised by whoever calls it."""

Checked = Callable[[object], State]
"""The state that a fold has returned; raises where it is none."""


class PlainEvents(Protocol):
    """Knows what a batch has seen, and folds what is plain beside it."""

    def open(
        self,
        source: str,
        records: Sequence[RawRecord],
        events: Sequence[Event[Any]],
        open_singly: OpenOne,
    ) -> Sequence[OpenEntry] | None:
        """The entry of each event; their ids are claimed by it. None where one is not plain.

        Then nothing is claimed, as when it raises. Records are of one partition, in its order.
        `open_singly` opens entries that are not all of one source. An event whose id is no UUID
        in the usual form may count as not plain.
        """
        ...

    def fold(
        self,
        fold: Fold,
        checked: Checked,
        records: Sequence[RawRecord],
        events: Sequence[Event[Any]],
        opened: Sequence[OpenEntry],
    ) -> None:
        """Fold each into the entry that was opened for it, which then reaches to its record.

        Raises what a fold raises; what stands before that is folded.
        """
        ...


class AtOnce(NamedTuple):
    """What a batch uses for many events of one source."""

    expected: OneSource
    entries: OneSourceEntries
    events: PlainEvents


class PlainEventsInPython:
    """Implements PlainEvents."""

    def __init__(
        self,
        entries: OneSourceEntries,
        opened: dict[bytes, OpenEntry],
        ahead: dict[OpenEntry, None],
        claims: Claims,
        seen: tuple[Claims, ...],
        *,
        has_versions: bool,
    ) -> None:
        """`opened` has the entries of the batch by key, `claims` what it has read.

        `ahead`: where `open` notes entries, until they have stored what they will hold.
        `seen`: what was read before it. `has_versions`: an event of an appended aggregate has
        another place by its version.
        """
        self._entries = entries
        self._opened = opened
        self._ahead = ahead
        self._claims = claims
        self._seen = seen
        self._has_versions = has_versions

    def open(
        self,
        source: str,
        records: Sequence[RawRecord],
        events: Sequence[Event[Any]],
        open_singly: OpenOne,
    ) -> Sequence[OpenEntry] | None:
        """See PlainEvents."""
        ids = [event.id for event in events]
        if not self._are_plain(records, ids) or (self._has_versions and have_versions(events)):
            return None
        opened: list[OpenEntry] = []
        for record, _ in zip(records, ids, strict=True):
            entry = self._entry_of(record.key or b"", open_singly)
            if entry.reach >= record.offset:
                return None
            opened.append(entry)
        for id_, record in zip(ids, records, strict=True):
            self._claims.put(id_, source, record.offset)
        self._ahead.update(dict.fromkeys(opened))
        return opened

    def fold(
        self,
        fold: Fold,
        checked: Checked,
        records: Sequence[RawRecord],
        events: Sequence[Event[Any]],
        opened: Sequence[OpenEntry],
    ) -> None:
        """See PlainEvents."""
        for record, event, entry in zip(records, events, opened, strict=True):
            state = fold(entry.state, event)
            entry.state = state if type(state) is dict else checked(state)
            entry.reach = record.offset

    def _entry_of(self, key: bytes, open_singly: OpenOne) -> OpenEntry:
        entry = self._opened.get(key)
        if entry is None:
            entry = self._opened[key] = self._entries.open(key) or open_singly(key)
        return entry

    def _are_plain(self, records: Sequence[RawRecord], ids: Sequence[str]) -> bool:
        names = {name for record in records for name, _ in record.headers}
        return (
            names.isdisjoint(OTHER_PLACES)
            and len(set(ids)) == len(ids)
            and not any(id_ in known for known in (self._claims, *self._seen) for id_ in ids)
        )


def _in_c(
    entries: OneSourceEntries,
    opened: dict[bytes, OpenEntry],
    ahead: dict[OpenEntry, None],
    claims: Claims,
    seen: tuple[Claims, ...],
    *,
    has_versions: bool,
) -> PlainEvents:
    event: Any = Event
    id_, aggregate = event.__dict__["_id"], event.__dict__["_aggregate"]
    made: PlainEvents = native.folding.PlainEvents(
        event, id_, aggregate, OTHER_PLACES, entries, opened, ahead, claims, seen, has_versions
    )
    return made


plain_events: Final = _in_c if native.IN_USE else PlainEventsInPython
"""Makes PlainEvents, in C where that is built."""
