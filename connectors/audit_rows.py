"""The rows of an audit as they lie in buckets on disk, and the way back to what they say. Pure.

Nearly all events stand in every place as they should. They are told from their plain rows; objects
are made for the others alone.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from connectors.audit_comparison import Archived, Known, Placed, Published, Stored, Versioned

ARCHIVED: Final = 0
"""id, digest, partition, offset, source, source offset: a record of `store.events`."""

PUBLISHED: Final = 1
"""id, topic, partition, offset, whether the archive has taken it: a record of `events.*`."""

STORED: Final = 2
"""id, digest, aggregate, version, partition, offset: an event in Postgres with one position.

The digest is None for a position without an event, the partition for an event without one."""

WAITING: Final = 3
"""id: an event in the outbox."""

Row = Sequence[Any]
"""A tag, then what stands above. The event id is always the second."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """The events of a bucket: how many agree at first sight, and what is known of the others."""

    plain: int
    versioned: Sequence[Versioned]
    """The versions of those that agree."""

    others: Mapping[str, Known]


def read_bucket(rows: Iterable[Row], next_offsets: Mapping[int, int]) -> Bucket:
    """Sort out the rows of a bucket; `next_offsets` is how far the sink had come."""
    by_event: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_event[row[1]].append(row)
    plain = 0
    versioned: list[Versioned] = []
    others: dict[str, Known] = {}
    for event_id, found in by_event.items():
        if not _is_plain(found, next_offsets):
            others[event_id] = _known(found)
            continue
        plain += 1
        archived, stored = _pair(found)
        if stored[4] is not None:
            place = (archived[5], archived[6])
            versioned.append(Versioned(stored[3], stored[4], event_id, *place))
    return Bucket(plain, versioned, others)


def _is_plain(found: Sequence[Row], next_offsets: Mapping[int, int]) -> bool:
    """Whether it is stored once, archived once at that place, and published at most once."""
    tags = sum(1 << (4 * row[0]) for row in found)
    if tags not in _PLAIN:
        return False
    archived, stored = _pair(found)
    return archived[2:5] == [stored[2], stored[5], stored[6]] and archived[4] < next_offsets.get(
        archived[3], 0
    )


_PLAIN: Final = {
    (1 << 4 * ARCHIVED) + (1 << 4 * STORED),
    (1 << 4 * ARCHIVED) + (1 << 4 * STORED) + (1 << 4 * PUBLISHED),
}


def _pair(found: Sequence[Row]) -> tuple[Row, Row]:
    """The archived and the stored row of an event that has one of each."""
    archived = stored = found[0]
    for row in found:
        if row[0] == ARCHIVED:
            archived = row
        elif row[0] == STORED:
            stored = row
    return archived, stored


def _known(found: Iterable[Row]) -> Known:
    known = Known()
    for tag, event_id, *row in found:
        if tag == ARCHIVED:
            known.archived.append(Archived(event_id, *row))
        elif tag == PUBLISHED:
            topic, partition, offset, is_settled = row
            place = f"{topic}/{partition}/{offset}"
            known.published.append(Published(event_id, place, is_settled))
        elif tag == STORED:
            _add_stored(known, event_id, row)
        else:
            known.is_in_outbox = True
    return known


def _add_stored(known: Known, event_id: str, row: Row) -> None:
    """An event comes once for each of its positions, and twice at one when it is stored twice."""
    digest, aggregate, version, partition, offset = row
    placed = None if partition is None else Placed(event_id, partition, offset)
    is_new = placed is None or placed in known.placed or not known.stored
    if placed is not None and placed not in known.placed:
        known.placed.append(placed)
    if digest is not None and is_new:
        known.stored.append(Stored(event_id, digest, aggregate, version))
