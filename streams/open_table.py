"""The table of one projection in the hands of a batch: repeats are dropped, the rest is folded.

Folds are trusted: states are encoded once per batch. When one fails, the entry is taken back and
the events of the batch are folded into it again one by one, so that only the failing one is missed.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import orjson
import structlog

from schemas.event import Event
from streams.coverage import Coverage
from streams.errors import StateNotStorable, StoreFailed
from streams.place import Places
from streams.projection import NO_STATE, Projection, State, joined
from streams.records import RawRecord
from streams.table import Changes, OpenEntry, TablePartition
from streams.window import Claim, Slot

Delivery = tuple[RawRecord, Event[Any]]
"""An event with the record that brought it, whose key is the entry's."""

log = structlog.get_logger(__name__)


class FailedFold(NamedTuple):
    """An event that a table does not hold, found out after its fold had returned."""

    projection: Projection
    record: RawRecord
    event: Event[Any]
    error: Exception


class _Run:
    """Deliveries on their way into a table, and those that were not folded."""

    def __init__(self, deliveries: Iterable[Delivery]) -> None:
        self.left: Iterator[Delivery] = iter(deliveries)
        self.undone: list[Delivery] = []
        self.halted: set[bytes] = set()


class OpenTable:
    """One partition of a table for the time of a batch."""

    def __init__(self, projection: Projection, partition: TablePartition, places: Places) -> None:
        self._projection = projection
        self._partition = partition
        self._places = places
        self._entries: dict[bytes, OpenEntry] = {}
        self._noted: dict[bytes, OpenEntry] = {}
        self._claims: dict[str, Claim] = {}
        self._window = partition.window.claims
        self._generation = partition.table.generation
        self._failed: list[FailedFold] = []

    def fold(self, record: RawRecord, event: Event[Any]) -> None:
        """See TableBatch."""
        self._fold(_Run(((record, event),)))

    def fold_all(self, deliveries: Iterable[Delivery]) -> Sequence[Delivery]:
        """See TableBatch."""
        run = _Run(deliveries)
        while True:
            try:
                self._fold(run)
            except StoreFailed:
                raise
            except Exception as error:  # noqa: BLE001  # a fold belongs to a team's app
                log.info("to be folded once more", table=self._projection.name, error=repr(error))
            else:
                return run.undone

    def _fold(self, run: _Run) -> None:
        """Fold what is left of a run, but for halted entries; raises where a fold fails."""
        fold, place_of, halted = self._projection.fold, self._places.of, run.halted
        entries, claims, window = self._entries, self._claims, self._window
        for record, event in run.left:
            key = record.key or b""
            if halted and key in halted:
                run.undone.append((record, event))
                continue
            try:
                entry = entries.get(key) or self._open(key)
                source, offset, stream, step, is_redriven = place_of(record)
                coverage, event_id = entry.coverage, event.id
                if offset <= coverage.positions.get(source, -1):
                    if not coverage.misses(source, offset):
                        self._lean_on(entry)
                        self._remember(event_id, (source, offset))
                        continue
                elif is_redriven:
                    # It will be read in order: here it would hide what stands before it.
                    continue
                elif stream is not None and step <= coverage.positions.get(stream, -1):
                    self._lean_on(entry)
                    continue
                if (event_id in window or event_id in claims or coverage.recent) and self._holds(
                    coverage, event_id
                ):
                    entry.is_changed = True
                else:
                    state = fold(entry.state, event)
                    entry.state = state if type(state) is dict else self._checked(state)
                    claims[event_id] = (source, offset)
                    entry.folded.append((record, event))
                coverage.advance(source, offset, stream, step)
            except BaseException:
                self._halt(run, key, (record, event))
                raise

    def _halt(self, run: _Run, key: bytes, failing: Delivery) -> None:
        run.undone.append(failing)
        run.halted.add(key)
        if key in self._entries:
            self._fold_again(self._entries[key])

    def leave_out(self, record: RawRecord) -> None:
        """See TableBatch."""
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
        for entry in self._entries.values():
            if entry.folded:
                try:
                    entry.stored = self._storable(entry.state)
                except StateNotStorable:
                    self._fold_again(entry)
                else:
                    entry.folded.clear()
                    entry.is_changed = True
        failed, self._failed = self._failed, []
        return failed

    def changes(self) -> Changes:
        """What is to be written, the ids first; nothing is folded after that."""
        values: dict[bytes, bytes] = {}
        slot: Slot | None = None
        if self._claims:
            slot = self._partition.window.plan(self._claims, self._generation)
            values[slot.key] = slot.encode()
        entries = {**self._noted, **self._entries}
        for key, entry in entries.items():
            if entry.is_changed:
                entry.coverage.generation = self._generation
                values[key] = joined(entry.coverage, entry.stored or NO_STATE)
        return Changes(values, entries, slot)

    def _open(self, key: bytes) -> OpenEntry:
        entry = self._noted.get(key) or self._taken(key)
        entry.state = self._stored_state(entry)
        self._entries[key] = entry
        return entry

    def _taken(self, key: bytes) -> OpenEntry:
        # A key stands in pages and queries as text; what is no text may be a key of our own.
        key.decode()
        return self._partition.take(key) or OpenEntry(Coverage(), None)

    def _stored_state(self, entry: OpenEntry) -> State:
        if entry.stored is None:
            return self._checked(self._projection.initial())
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

    def _remember(self, event_id: str, claim: Claim) -> None:
        """The id of an event that was applied before belongs into the window.

        Its slot may have been lost with the worker that applied it.
        """
        if event_id not in self._window:
            self._claims[event_id] = claim

    def _fold_again(self, entry: OpenEntry) -> None:
        """Take the entry back to what is known to be storable, and go on from there one by one."""
        folded, entry.folded = entry.folded, []
        entry.state = self._stored_state(entry)
        for record, event in folded:
            try:
                state = self._checked(self._projection.fold(entry.state, event))
                entry.stored = self._storable(state)
            except Exception as error:  # noqa: BLE001  # a fold belongs to a team's app
                entry.state = self._stored_state(entry)
                self._claims.pop(event.id, None)
                self._miss(entry, record)
                self._failed.append(FailedFold(self._projection, record, event, error))
            else:
                entry.state = state
                entry.is_changed = True

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

    def _checked(self, state: object) -> State:
        # A fold belongs to a team's app: what it returns need not be what its annotation says.
        if not isinstance(state, dict):
            raise StateNotStorable(
                f"projection {self._projection.name!r}: the state is a {type(state).__name__},"
                " no dict"
            )
        return state

    def _storable(self, state: State) -> bytes:
        try:
            return orjson.dumps(state)
        except orjson.JSONEncodeError as error:
            raise StateNotStorable(f"projection {self._projection.name!r}: {error}") from error
