"""The counts of one run: what was acknowledged against what arrived in each place. Pure.

Every place gives its own evidence (journals, rows, tables, a client's log); nothing here trusts a
counter that the platform keeps of itself.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from schemas.broadcast import rooms
from schemas.catalog import Catalog
from schemas.event import Event
from streams.projection import Projection, State

Tables = Mapping[str, Mapping[str, State]]
"""Projection name → key → state."""

EVERY_EVENT = "hourly-counts"
"""The projection that counts each event once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the places say about one run."""

    acknowledged: Sequence[Event[Any]]
    stored: Sequence[str]
    tables: Tables
    shown: Sequence[str]
    rooms: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reckoning:
    """The sums.

    `lost`: acknowledged events missing in a place where they belong; `duplicates`: there twice.
    """

    acknowledged: int
    stored: int
    projected: int
    delivered: int
    expected_delivered: int
    lost: int
    duplicates: int

    @property
    def is_whole(self) -> bool:
        """Whether everything acknowledged is everywhere once."""
        return (
            self.lost == self.duplicates == 0
            and self.stored == self.projected == self.acknowledged
            and self.delivered == self.expected_delivered
        )


def reckon(evidence: Evidence, projections: Iterable[Projection], catalog: Catalog) -> Reckoning:
    """Compare the journals with every place."""
    acknowledged = {event.id: event for event in evidence.acknowledged}
    expected_shown = shown_in(evidence.rooms, acknowledged.values(), catalog)
    missing_rows, twice_stored = _compare(acknowledged, evidence.stored)
    missing_frames, twice_shown = _compare(expected_shown, evidence.shown)
    expected_tables = fold_all(acknowledged.values(), projections)
    missing_counts, extra_counts = _compare_tables(expected_tables, evidence.tables)
    return Reckoning(
        acknowledged=len(acknowledged),
        stored=len(set(evidence.stored)),
        projected=total(evidence.tables.get(EVERY_EVENT, {})),
        delivered=len(set(evidence.shown)),
        expected_delivered=len(expected_shown),
        lost=missing_rows + missing_frames + missing_counts,
        duplicates=twice_stored + twice_shown + extra_counts,
    )


def shown_in(joined: Set[str], events: Iterable[Event[Any]], catalog: Catalog) -> set[str]:
    """The ids of the events that a client must be shown who has joined these rooms."""
    return {
        event.id for event in events if not joined.isdisjoint(rooms(event, catalog.get(event.type)))
    }


def fold_all(events: Iterable[Event[Any]], projections: Iterable[Projection]) -> Tables:
    """The tables that these events must give, by the app's own folds, each event once.

    Events of one millisecond stay in the order in which they were acknowledged.
    """
    known = tuple(projections)
    tables: dict[str, dict[str, State]] = {projection.name: {} for projection in known}
    for event in sorted(events, key=lambda one: one.timestamp_ms):
        for projection in known:
            if projection.wants(event.type):
                key = projection.key(event) if projection.key else event.key
                table = tables[projection.name]
                table[key] = projection.fold(table.get(key, projection.initial()), event)
    return tables


def difference(after: Tables, before: Tables) -> Tables:
    """What was added to tables that outlive a run.

    Numbers are subtracted, other values are taken as they are.
    """
    return {
        name: {
            key: {
                field: value - before.get(name, {}).get(key, {}).get(field, 0)
                if isinstance(value, int)
                else value
                for field, value in state.items()
            }
            for key, state in entries.items()
        }
        for name, entries in after.items()
    }


def _compare(expected: Iterable[str], seen: Sequence[str]) -> tuple[int, int]:
    """How many expected ids are missing, and how many sightings are repeats."""
    times = Counter(seen)
    missing = sum(1 for event_id in expected if event_id not in times)
    return missing, sum(times.values()) - len(times)


def _compare_tables(expected: Tables, actual: Tables) -> tuple[int, int]:
    """What is missing and what is too much in any table, a wrong text counted as one missing."""
    missing = extra = 0
    for name in expected.keys() | actual.keys():
        wanted, found = expected.get(name, {}), actual.get(name, {})
        for key in wanted.keys() | found.keys():
            lacks, exceeds = _compare_states(wanted.get(key, {}), found.get(key, {}))
            missing += lacks
            extra += exceeds
    return missing, extra


def _compare_states(expected: State, actual: State) -> tuple[int, int]:
    """The same for one entry. A text of a key that is not expected is of another run."""
    missing = extra = 0
    for field in expected.keys() | actual.keys():
        wanted, found = expected.get(field, 0), actual.get(field, 0)
        if isinstance(wanted, int) and isinstance(found, int):
            missing += max(0, wanted - found)
            extra += max(0, found - wanted)
        elif field in expected:
            missing += wanted != found
    return missing, extra


def total(entries: Mapping[str, State]) -> int:
    """The sum of all numbers in all entries."""
    return sum(value for state in entries.values() for value in state.values())
