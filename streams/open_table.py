"""The table of one projection in the hands of a batch: repeats are dropped, the rest is folded.

Folds are trusted: states are encoded once per batch. When one fails, the entry is taken back and
the events of the batch are folded into it again one by one, so that only the failing one is missed.

Most events are plain: read where they were published, in order, never seen before. That is found
out for many at once, and nothing but their fold is done to each. All others are looked at singly.
"""

import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Final

import orjson
import structlog

from schemas.event import Event
from streams.claims import Claims, new_claims
from streams.coverage import Coverage, OneSource
from streams.delivery import Delivery, FailedFold, Run, ViewAgain
from streams.errors import StateNotStorable, StoreFailed
from streams.one_source import encoded, one_source_entries
from streams.place import Place, Places
from streams.plain_events import AtOnce, plain_events
from streams.projection import Projection, State
from streams.records import RawRecord
from streams.storable import checked, storable
from streams.table import Changes, OpenEntry, TablePartition
from streams.versions import versioned
from streams.window import Slot

BEYOND: Final = sys.maxsize
"""The reach of an entry whose events must be looked at singly: no offset lies above it."""

log = structlog.get_logger(__name__)


class OpenTable:
    """One partition of a table for the time of a batch."""

    def __init__(
        self,
        projection: Projection,
        partition: TablePartition,
        places: Places,
        view_again: ViewAgain | None = None,
    ) -> None:
        """See TableBatch for `view_again`."""
        self._view_again = view_again
        self._projection = projection
        self._partition = partition
        self._places = places
        self._entries: dict[bytes, OpenEntry] = {}
        self._noted: dict[bytes, OpenEntry] = {}
        self._claims: Claims = new_claims()
        self._window = partition.window
        self._generation = partition.table.generation
        self._failed: list[FailedFold] = []
        self._at_once: AtOnce | None = None
        self._plain: list[tuple[Sequence[RawRecord], Sequence[Event[Any]] | None]] = []
        self._ahead: dict[OpenEntry, None] = {}
        self._checked = partial(checked, projection)
        self._has_folded_singly = False
        self._leaning: defaultdict[str, list[Delivery]] = defaultdict(list)
        """Repeats by the id of what they repeat, until it is known to be storable."""

    def fold(self, record: RawRecord, event: Event[Any]) -> None:
        """See TableBatch."""
        self._begin_singly()
        self._fold(Run(((record, event),)))

    def fold_in_order(
        self, source: str, records: Sequence[RawRecord], events: Sequence[Event[Any]]
    ) -> Sequence[Delivery]:
        """See TableBatch."""
        opened = self._opened_plain(source, records, events)
        if opened is None:
            return self.fold_all(zip(records, events, strict=True))
        # An event that is let go of at once leaves its memory to the next while that is cached.
        self._plain.append((records, events if self._view_again is None else None))
        try:
            fold = self._projection.fold
            self._of(source).events.fold(fold, self._checked, records, events, opened)
        except Exception as error:  # noqa: BLE001  # a fold belongs to a team's app
            log.info("to be folded singly", table=self._projection.name, error=repr(error))
            return self._fold_plain_again()
        return ()

    def _opened_plain(
        self, source: str, records: Sequence[RawRecord], events: Sequence[Event[Any]]
    ) -> Sequence[OpenEntry] | None:
        """The entries of these events, if all are plain and can be opened."""
        at_once = self._of(source)
        if self._noted or self._has_folded_singly or source != at_once.expected.source:
            return None
        try:
            return at_once.events.open(source, records, events, self._open)
        except StoreFailed:
            raise
        except Exception as error:  # noqa: BLE001  # met again by whoever looks at them singly
            log.info("to be folded singly", table=self._projection.name, error=repr(error))
            return None

    def _of(self, source: str) -> AtOnce:
        """What is used for many events at once: for those of the source that came first."""
        if self._at_once is None:
            expected = OneSource.of(source, self._generation)
            entries = one_source_entries(self._partition, expected, self._projection.initial)
            events = plain_events(
                entries,
                self._entries,
                self._ahead,
                self._claims,
                self._window.claims,
                has_versions=self._projection.key is None,
            )
            self._at_once = AtOnce(expected, entries, events)
        return self._at_once

    def _place_of(self, record: RawRecord, event: Event[Any]) -> Place:
        place = self._places.of(record)
        return versioned(place, event) if self._projection.key is None else place

    def _fold_plain_again(self) -> Sequence[Delivery]:
        """Take back all plain events that are not settled, and look at them singly."""
        again = [pair for run in self._plain for pair in self._deliveries(*run)]
        for entry in self._ahead:
            entry.state = self._stored_state(entry)
            entry.reach = self._reach_of(entry)
        for _, event in again:
            self._claims.remove(event.id)
        self._plain.clear()
        self._ahead.clear()
        return self.fold_all(again)

    def _deliveries(
        self, records: Sequence[RawRecord], events: Sequence[Event[Any]] | None
    ) -> Iterable[Delivery]:
        if events is None:
            assert self._view_again is not None, "only what can be made again is let go of"
            events = self._view_again(records)
        return zip(records, events, strict=True)

    def _begin_singly(self) -> None:
        """What is folded singly stands on states that are known to be storable."""
        self._settle_plain()
        self._has_folded_singly = True

    def fold_all(self, deliveries: Iterable[Delivery]) -> Sequence[Delivery]:
        """See TableBatch."""
        self._begin_singly()
        run = Run(deliveries)
        while True:
            try:
                self._fold(run)
            except StoreFailed:
                raise
            except Exception as error:  # noqa: BLE001  # a fold belongs to a team's app
                log.info("to be folded once more", table=self._projection.name, error=repr(error))
            else:
                return run.undone

    def _fold(self, run: Run) -> None:
        """Fold what is left of a run, but for halted entries; raises where a fold fails."""
        fold, place_of, halted = self._projection.fold, self._place_of, run.halted
        entries, claims = self._entries, self._claims
        for record, event in run.left:
            key = record.key or b""
            if halted and key in halted:
                run.undone.append((record, event))
                continue
            try:
                entry = entries.get(key) or self._open(key)
                source, offset, stream, step, is_redriven = place_of(record, event)
                coverage, event_id = entry.coverage, event.id
                if offset <= coverage.positions.get(source, -1):
                    if not coverage.misses(source, offset):
                        self._lean_on(entry)
                        self._remember(event_id, source, offset)
                        continue
                elif is_redriven:
                    # It will be read in order: here it would hide what stands before it.
                    continue
                elif stream is not None and step <= coverage.positions.get(stream, -1):
                    self._lean_on(entry)
                    continue
                if self._holds(coverage, event_id):
                    entry.is_changed = True
                    if event_id in claims:
                        self._leaning[event_id].append((record, event))
                else:
                    state = fold(entry.state, event)
                    entry.state = state if type(state) is dict else checked(self._projection, state)
                    claims.put(event_id, source, offset)
                    entry.folded = entry.folded or []
                    entry.folded.append((record, event))
                coverage.advance(source, offset, stream, step)
            except BaseException:
                self._halt(run, key, (record, event))
                raise

    def _halt(self, run: Run, key: bytes, failing: Delivery) -> None:
        run.undone.append(failing)
        run.halted.add(key)
        if key in self._entries:
            self._fold_again(self._entries[key])

    def leave_out(self, record: RawRecord) -> None:
        """See TableBatch."""
        self._settle_plain()
        key = record.key or b""
        try:
            source, offset, _, _, is_redriven = self._places.of(record)
            entry = self._entries.get(key) or self._noted.get(key) or self._taken(key)
        except ValueError as error:
            log.info("no entry notes this", table=self._projection.name, error=repr(error))
            return
        if key not in self._entries:
            self._noted[key] = entry
        if offset > entry.coverage.positions.get(source, -1) and not is_redriven:
            self._miss(entry, record)

    def settle(self) -> Sequence[FailedFold]:
        """See TableBatch."""
        self._settle_plain()
        if self._has_folded_singly:
            for entry in self._entries.values():
                if entry.folded:
                    self._settle_entry(entry)
                entry.reach = self._reach_of(entry)
            self._leaning.clear()
            self._has_folded_singly = False
        failed, self._failed = self._failed, []
        return failed

    def _settle_plain(self) -> None:
        """Encode what plain events have made of entries."""
        if not self._plain:
            return
        assert self._at_once is not None, "plain events have a source"
        try:
            self._at_once.entries.settle(self._ahead)
        except orjson.JSONEncodeError:
            halted: dict[bytes, Exception] = {}
            for record, event in self._fold_plain_again():
                self._fold_or_leave_out(record, event, halted)
            return
        self._plain.clear()
        self._ahead.clear()

    def _fold_or_leave_out(
        self, record: RawRecord, event: Event[Any], halted: dict[bytes, Exception]
    ) -> None:
        """`halted`: the entries in which one was left out, with the reason."""
        key = record.key or b""
        is_behind = key in halted
        try:
            if not is_behind:
                self._fold(Run(((record, event),)))
        except StoreFailed:
            raise
        except Exception as error:  # noqa: BLE001  # a fold belongs to a team's app
            halted[key] = error
        if key not in halted:
            return
        self.leave_out(record)
        self._failed.append(FailedFold(self._projection, record, event, halted[key], is_behind))

    def _settle_entry(self, entry: OpenEntry) -> None:
        try:
            entry.stored = storable(self._projection, entry.state)
        except StateNotStorable:
            self._fold_again(entry)
        else:
            entry.folded = None
            entry.is_changed = True

    def changes(self) -> Changes:
        """What is to be written, the ids first; nothing is folded after that."""
        values: dict[bytes, bytes] = {}
        slot: Slot | None = None
        if self._claims:
            slot = self._window.plan(self._claims, self._generation)
            values[slot.key] = slot.encode()
        values |= encoded(self._noted, self._generation)
        return Changes(values | self._encoded(), slot)

    def _encoded(self) -> dict[bytes, bytes]:
        at_once, generation = self._at_once, self._generation
        if at_once is not None:
            return at_once.entries.encode(self._entries, generation)
        return encoded(self._entries, generation)

    def _open(self, key: bytes) -> OpenEntry:
        entry = self._noted.get(key) or self._taken(key)
        entry.state = self._stored_state(entry)
        entry.reach = self._reach_of(entry)
        self._entries[key] = entry
        return entry

    def _reach_of(self, entry: OpenEntry) -> int:
        return BEYOND if self._at_once is None else entry.reach_in(self._at_once.expected, BEYOND)

    def _taken(self, key: bytes) -> OpenEntry:
        if not key.isascii():
            # A key stands in pages and queries as text; what is no text may be a key of our own.
            key.decode()
        return self._partition.take(key) or OpenEntry(Coverage(), None)

    def _stored_state(self, entry: OpenEntry) -> State:
        if entry.stored is None:
            return checked(self._projection, self._projection.initial())
        state: State = orjson.loads(entry.stored)
        return state

    def _holds(self, coverage: Coverage, event_id: str) -> bool:
        """Whether an entry holds another copy of this event, which stood elsewhere."""
        claim = self._claims.get(event_id) or self._window.get(event_id)
        if claim is not None and coverage.holds(*claim):
            return True
        return event_id in coverage.recent

    def _lean_on(self, entry: OpenEntry) -> None:
        """An event is done because the entry holds it: so its own generation must stand for it.

        Else a record of an owner in between, written late, would count for more.
        """
        if entry.coverage.generation < self._generation:
            entry.is_changed = True

    def _remember(self, event_id: str, source: str, offset: int) -> None:
        """The id of an event that was applied belongs into the window; its slot may be lost."""
        if self._window.get(event_id) is None:
            self._claims.put(event_id, source, offset)

    def _fold_again(self, entry: OpenEntry) -> None:
        """Take the entry back to what is known to be storable, and go on from there one by one."""
        folded, entry.folded = entry.folded or (), None
        entry.state = self._stored_state(entry)
        failure: Exception | None = None
        for record, event in folded:
            if failure is not None:
                behind = FailedFold(self._projection, record, event, failure, is_behind=True)
                self._take_back(entry, behind)
                continue
            try:
                state = checked(self._projection, self._projection.fold(entry.state, event))
                entry.stored = storable(self._projection, state)
            except Exception as error:  # noqa: BLE001  # a fold belongs to a team's app
                failure = error
                entry.state = self._stored_state(entry)
                self._take_back(entry, FailedFold(self._projection, record, event, error))
            else:
                entry.state = state
                entry.is_changed = True

    def _take_back(self, entry: OpenEntry, failed: FailedFold) -> None:
        """The entry does not hold the event after all, nor what was taken for a repeat of it."""
        event_id = failed.event.id
        self._claims.remove(event_id)
        self._miss(entry, failed.record)
        self._failed.append(failed)
        for record, copy in self._leaning.pop(event_id, ()):
            self._miss(entry, record)
            self._failed.append(failed._replace(record=record, event=copy))

    def _miss(self, entry: OpenEntry, record: RawRecord) -> None:
        source, offset, stream, step, _ = self._places.of(record)
        given_up = entry.coverage.leave_out(source, offset, stream, step)
        entry.is_changed = True
        if given_up is not None:
            log.warning(
                "a dead letter of long ago can no more be redriven into its entry",
                table=self._projection.name,
                key=record.key,
                source=source,
                offset=given_up,
            )
