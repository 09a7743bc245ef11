"""The repository: load an aggregate, decide, append what follows, again when another was faster.

One for both forms of aggregates. A command that is given an id is carried out once, however often
it is tried: the second try gets the first result.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, NamedTuple, TypedDict, TypeVar, Unpack
from weakref import WeakValueDictionary

import structlog

from schemas.event import Event, EventFactory, Metadata
from streams.decider import AggregateModel, Decided, version_after
from streams.errors import (
    ForeignDecision,
    VersionConflict,
)
from streams.event_store import CommandAppender, EventQueries
from streams.expectation import Appended, ExpectedVersion
from streams.snapshot import NO_SNAPSHOTS, Snapshots

CommandT = TypeVar("CommandT")
StateT = TypeVar("StateT")

log = structlog.get_logger(__name__)

TRIES: Final = 5
"""How often a command is decided at most: each time another process has appended in between."""

SNAPSHOT_EVERY: Final = 100
"""Events between two snapshots: what a load reads at most, beside what was just appended."""


class Loaded(NamedTuple, Generic[StateT]):
    """An aggregate as it was found. `read` events were read on top of a snapshot, if there was."""

    state: StateT
    version: int
    read: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed(Generic[StateT]):
    """The result of a command: the state behind it, and the events that it brought about.

    `is_repeat`: the command was carried out before. `events` and `version` are of then, `state` is
    of now.
    """

    state: StateT
    version: int
    events: tuple[Event[Any], ...]
    is_repeat: bool = False


class CommandDetails(TypedDict, total=False):
    """What may be said of a command. The rest of it goes into the events that it brings about."""

    command_id: str
    """Tells a command that is tried again; per aggregate. Without one each try is a new command."""

    correlation_id: str
    causation_id: str
    metadata: Metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryEdges:
    """What a repository stands on, passed in."""

    stored: EventQueries
    appender: CommandAppender
    factory: EventFactory
    snapshots: Snapshots = NO_SNAPSHOTS


class Repository(Generic[CommandT, StateT]):
    """Loads and changes the aggregates of one type.

    Commands on one aggregate take turns within a repository; between processes the expected version
    decides.
    """

    def __init__(
        self,
        model: AggregateModel[CommandT, StateT],
        edges: RepositoryEdges,
        *,
        tries: int = TRIES,
        snapshot_every: int = SNAPSHOT_EVERY,
    ) -> None:
        """`tries` and `snapshot_every` are at least 1."""
        if tries < 1 or snapshot_every < 1:
            raise ValueError("tries and snapshot_every are at least 1")
        self._model = model
        self._edges = edges
        self._tries = tries
        self._snapshot_every = snapshot_every
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def load(self, aggregate_id: str) -> Loaded[StateT]:
        """The aggregate as it is stored; version 0 when it has no events.

        Raises HistoryGap, InfrastructureError, or SchemaError when an event cannot be read.
        """
        loaded = await self._load(aggregate_id)
        if loaded.read >= self._snapshot_every:
            await self._take_snapshot(aggregate_id, loaded.version, loaded.state)
        return loaded

    async def execute(
        self, aggregate_id: str, command: CommandT, **details: Unpack[CommandDetails]
    ) -> Executed[StateT]:
        """Carry a command out, or find that it was.

        Raises what refuses the command; VersionConflict when others were faster too often;
        InfrastructureError when the store is away: the outcome is unknown then, and the same
        command with the same `command_id` may be tried again; ForeignDecision; and what `load` and
        `append` raise.
        """
        turn = self._turns.setdefault(aggregate_id, asyncio.Lock())
        async with turn:
            return await self._execute(aggregate_id, command, details)

    async def _execute(
        self, aggregate_id: str, command: CommandT, details: CommandDetails
    ) -> Executed[StateT]:
        for left in reversed(range(self._tries)):
            loaded = await self._load(aggregate_id)
            try:
                decided = self._model.decide(command, loaded.state)
            except Exception:
                # It may be refused because it was carried out: then that is its result.
                repeated = await self._carried_out(aggregate_id, details)
                if repeated is None:
                    raise
                return repeated
            if not decided:
                return await self._carried_out(aggregate_id, details) or Executed(
                    state=loaded.state, version=loaded.version, events=()
                )
            events = self._events(aggregate_id, decided, details)
            try:
                appended = await self._edges.appender.append(
                    events,
                    ExpectedVersion.exact(loaded.version),
                    command_id=details.get("command_id"),
                )
            except VersionConflict as conflict:
                if not left:
                    raise
                await self._note(aggregate_id, conflict)
            else:
                return await self._done(aggregate_id, loaded, appended)
        raise AssertionError("the last try returns or raises")

    async def _done(
        self, aggregate_id: str, loaded: Loaded[StateT], appended: Appended
    ) -> Executed[StateT]:
        if appended.is_repeat:
            return await self._repeated(aggregate_id, appended)
        state = loaded.state
        for event in appended.events:
            state = self._model.evolve(state, event)
        if loaded.read + len(appended.events) >= self._snapshot_every:
            await self._take_snapshot(aggregate_id, appended.version, state)
        return Executed(state=state, version=appended.version, events=appended.events)

    async def _carried_out(
        self, aggregate_id: str, details: CommandDetails
    ) -> Executed[StateT] | None:
        command_id = details.get("command_id")
        if command_id is None:
            return None
        found = await self._edges.appender.result_of(
            self._model.aggregate_type, aggregate_id, command_id
        )
        return None if found is None else await self._repeated(aggregate_id, found)

    async def _repeated(self, aggregate_id: str, first: Appended) -> Executed[StateT]:
        state = (await self._load(aggregate_id)).state
        return Executed(state=state, version=first.version, events=first.events, is_repeat=True)

    async def _note(self, aggregate_id: str, conflict: VersionConflict) -> None:
        log.info("deciding again", aggregate=conflict.aggregate, version=conflict.actual)
        if conflict.actual < conflict.expected:
            # Its history has become shorter, as by a restore: a snapshot knows what is gone.
            await self._edges.snapshots.drop(self._model.aggregate_type, aggregate_id)

    async def _load(self, aggregate_id: str) -> Loaded[StateT]:
        model, found = self._model, None
        state, version = model.begin(aggregate_id), 0
        if model.snapshots is not None:
            found = await self._edges.snapshots.latest(
                model.aggregate_type, aggregate_id, model.snapshots.schema_version
            )
        if found is not None and model.snapshots is not None:
            try:
                kept = model.snapshots.state_of(found)
            except (ValueError, LookupError, TypeError, AttributeError) as error:
                log.warning("unreadable snapshot", aggregate=aggregate_id, error=repr(error))
            else:
                state = model.restored(aggregate_id, found.version, kept)
                version = found.version
        read = 0
        async for event in self._edges.stored.history(
            model.aggregate_type, aggregate_id, version + 1
        ):
            version = version_after(version, event)
            state = model.evolve(state, event)
            read += 1
        return Loaded(state, version, read)

    async def _take_snapshot(self, aggregate_id: str, version: int, state: StateT) -> None:
        """Keep the state; without it the next load takes longer, and that is all.

        Whatever fails: the events are stored, and whoever has sent the command must hear so.
        """
        form = self._model.snapshots
        if form is None:
            return
        try:
            taken = form.taken(self._model.aggregate_type, aggregate_id, version, state)
            await self._edges.snapshots.save(taken)
        except Exception as error:  # noqa: BLE001  # a team's function, or a store that is away
            log.warning("no snapshot", aggregate=aggregate_id, reason=repr(error))

    def _events(
        self, aggregate_id: str, decided: Sequence[Decided], details: CommandDetails
    ) -> list[Event[Any]]:
        make = self._maker(aggregate_id, details)
        events = [make(one) for one in decided]
        for event in events:
            aggregate = event.aggregate
            known = None if aggregate is None else (aggregate.type, aggregate.id)
            if known != (self._model.aggregate_type, aggregate_id):
                owner = f"{self._model.aggregate_type}/{aggregate_id}"
                raise ForeignDecision(event.type, owner)
        return events

    def _maker(self, aggregate_id: str, details: CommandDetails) -> Callable[[Decided], Event[Any]]:
        given: dict[str, Any] = {
            name: value for name, value in details.items() if name != "command_id"
        }

        def make(decided: Decided) -> Event[Any]:
            if isinstance(decided, Event):
                return _unversioned(decided, given)
            return self._edges.factory.create(decided, aggregate_id=aggregate_id, **given)

        return make


def _unversioned(event: Event[Any], given: Mapping[str, Any]) -> Event[Any]:
    """A whole event with what is said of its command; its version is for the store to give."""
    aggregate = event.aggregate
    if aggregate is not None:
        aggregate = aggregate._replace(version=None)
    return Event(event.envelope._replace(aggregate=aggregate, **given), event.data)
