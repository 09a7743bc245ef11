"""Folding stored events into rows, one batch at a time. Pure: rows in, changed rows out.

The first event that cannot be folded ends a batch: what stands before it counts, the event is
named, and nothing behind it is touched.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple, Self

import orjson

from schemas.event import Event
from streams.errors import InfrastructureError, StateNotStorable
from streams.projection import Projection, State
from streams.storable import checked, storable

LONGEST_KEY_BYTES: Final = 1_000
"""A key is part of an index, which bounds it."""

NUL: Final = "\x00"


class StoredEvent(NamedTuple):
    """An event and where it stands in the event store."""

    partition: int
    offset: int
    event: Event[Any]


class Delivery(NamedTuple):
    """An event on its way into the row of a key."""

    key: str
    stored: StoredEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """The state of one key as JSON, how many events it holds, and the last offset by partition.

    Partitions are text: the coverage is JSON where it is kept.
    """

    key: str
    state: bytes
    events: int = 0
    coverage: Mapping[str, int] = field(default_factory=dict)

    def decoded(self) -> State:
        """The state."""
        state: State = orjson.loads(self.state)
        return state

    def encoded_coverage(self) -> bytes:
        """The coverage as JSON."""
        return orjson.dumps(self.coverage)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldFailure:
    """The event at which a fold raised, and what it raised."""

    event_id: str
    event_type: str
    partition: int
    offset: int
    error: str

    @classmethod
    def of(cls, stored: StoredEvent, error: Exception) -> Self:
        """What is to be told about it."""
        code = getattr(error, "code", type(error).__name__)
        return cls(
            event_id=stored.event.id,
            event_type=stored.event.type,
            partition=stored.partition,
            offset=stored.offset,
            error=f"{code}: {error}",
        )

    def __str__(self) -> str:
        return f"{self.event_type} {self.event_id} at {self.partition}/{self.offset}: {self.error}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyed:
    """The events of a batch with their keys, up to one that has none."""

    deliveries: Sequence[Delivery]
    failure: FoldFailure | None = None

    def distinct_keys(self) -> Sequence[str]:
        """Every key once."""
        return [*dict.fromkeys(delivery.key for delivery in self.deliveries)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """What a batch has changed."""

    rows: Sequence[Row]
    events: int
    failure: FoldFailure | None = None


class _Entry:
    """A row in the hands of a batch."""

    __slots__ = ("coverage", "events", "state")

    def __init__(self, state: State, row: Row | None) -> None:
        self.state = state
        self.events = 0 if row is None else row.events
        self.coverage = {} if row is None else dict(row.coverage)


def keyed(projection: Projection, batch: Sequence[StoredEvent]) -> Keyed:
    """Tell which row each event belongs to."""
    deliveries: list[Delivery] = []
    known: set[str] = set()
    key_of = projection.key_of
    for stored in batch:
        try:
            key = key_of(stored.event)
            if key not in known:
                known.add(_checked_key(key))
            deliveries.append(Delivery(key, stored))
        except InfrastructureError:
            raise  # the keys of personal data are away: nothing is wrong with the event
        except Exception as error:  # noqa: BLE001  # a key function belongs to a team's app
            failure = FoldFailure.of(stored, error)
            return Keyed(deliveries=deliveries, failure=failure)
    return Keyed(deliveries=deliveries)


def fold_rows(
    projection: Projection, rows: Mapping[str, Row], deliveries: Sequence[Delivery]
) -> Folded:
    """Fold events into the rows of their keys; keys without a row begin with the initial state.

    An event at or below its row's coverage is in the state already, and left out.
    """
    entries: dict[str, _Entry] = {}
    fold = projection.fold
    for index, (key, (partition, offset, event)) in enumerate(deliveries):
        try:
            entry = entries.get(key) or _opened(projection, entries, key, rows.get(key))
            source = str(partition)
            if offset <= entry.coverage.get(source, -1):
                continue
            state = fold(entry.state, event)
            entry.state = state if type(state) is dict else checked(projection, state)
            entry.events += 1
            entry.coverage[source] = offset
        except InfrastructureError:
            raise  # the keys of personal data are away: nothing is wrong with the event
        except Exception as error:  # noqa: BLE001  # a fold belongs to a team's app
            failure = FoldFailure.of(deliveries[index].stored, error)
            return _up_to(failure, projection, rows, deliveries[:index])
    changed: list[Row] = []
    for key, entry in entries.items():
        try:
            encoded = _encoded(projection, entry.state)
        except StateNotStorable:
            index, failure = _spoiling(projection, rows.get(key), key, deliveries)
            return _up_to(failure, projection, rows, deliveries[:index])
        changed.append(Row(key=key, state=encoded, events=entry.events, coverage=entry.coverage))
    return Folded(rows=changed, events=len(deliveries))


def _up_to(
    failure: FoldFailure,
    projection: Projection,
    rows: Mapping[str, Row],
    before: Sequence[Delivery],
) -> Folded:
    """What stands before a failing event, folded anew: a fold may change its state, then raise."""
    folded = fold_rows(projection, rows, before)
    return folded if folded.failure is not None else replace(folded, failure=failure)


def _opened(
    projection: Projection, entries: dict[str, _Entry], key: str, row: Row | None
) -> _Entry:
    state = checked(projection, projection.initial()) if row is None else row.decoded()
    entry = entries[key] = _Entry(state, row)
    return entry


def _spoiling(
    projection: Projection, row: Row | None, key: str, deliveries: Sequence[Delivery]
) -> tuple[int, FoldFailure]:
    """The first event after which the state of a key cannot be stored, and why."""
    state = projection.initial() if row is None else row.decoded()
    coverage = {} if row is None else row.coverage
    last = len(deliveries) - 1
    for index, delivery in enumerate(deliveries):
        stored = delivery.stored
        if delivery.key != key or stored.offset <= coverage.get(str(stored.partition), -1):
            continue
        last = index
        try:
            state = checked(projection, projection.fold(state, stored.event))
            _encoded(projection, state)
        except InfrastructureError:
            raise  # the keys of personal data are away: nothing is wrong with the event
        except Exception as error:  # noqa: BLE001  # a fold belongs to a team's app
            return index, FoldFailure.of(stored, error)
    # The fold does not do the same twice: its last event of the key is as good a name as any.
    unsteady = StateNotStorable(f"projection {projection.name!r}: its fold is not repeatable")
    return last, FoldFailure.of(deliveries[last].stored, unsteady)


def _checked_key(key: object) -> str:
    # A key function belongs to a team's app: what it returns need not be what it says.
    if not isinstance(key, str):
        raise StateNotStorable(f"a key is text, not a {type(key).__name__}")
    if NUL in key:
        raise StateNotStorable("a key holds a NUL character, which Postgres cannot store")
    if len(key.encode()) > LONGEST_KEY_BYTES:
        raise StateNotStorable(f"a key has more than {LONGEST_KEY_BYTES} bytes")
    return key


def _encoded(projection: Projection, state: State) -> bytes:
    encoded = storable(projection, state)
    if b"\\u0000" in encoded and _holds_nul(orjson.loads(encoded)):
        raise StateNotStorable(
            f"projection {projection.name!r}: the state holds a NUL character, which Postgres "
            "cannot store"
        )
    return encoded


def _holds_nul(value: object) -> bool:
    match value:
        case str():
            return NUL in value
        case dict():
            return any(_holds_nul(part) for pair in value.items() for part in pair)
        case list():
            return any(_holds_nul(part) for part in value)
        case _:
            return False
