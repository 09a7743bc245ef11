"""An aggregate as an object: it applies events to itself, and remembers which are new.

The functional form of the same is `streams.decider`; both live behind `streams.repository`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Generic, Self, TypeVar

from schemas.event import Event, EventData, EventFactory
from streams.decider import Decided, version_after
from streams.errors import AggregateNotFound, AggregateReadOnly
from streams.snapshot import SnapshotForm

RootT = TypeVar("RootT", bound="AggregateRoot")

RootCommand = Callable[[RootT], object]
"""What is done to an aggregate, such as `lambda analysis: analysis.start("json")`."""


class AggregateRoot(ABC):
    """The parent of aggregates in this form.

    A subclass names its `aggregate_type`, gives its attributes their first values in the class
    body, has a method per command, which checks and calls `apply_event`, and `when`, which alone
    changes attributes. With a `snapshot_version` above zero it also has `to_snapshot` and
    `from_snapshot`.
    """

    aggregate_type: ClassVar[str]
    snapshot_version: ClassVar[int] = 0
    """Grows with every change of what `to_snapshot` gives; 0: no snapshots."""

    def __init__(self, aggregate_id: str, factory: EventFactory | None = None) -> None:
        """`factory` makes the events; an aggregate without one can be looked at only."""
        self.id = aggregate_id
        self.version = 0
        self._factory = factory
        self._uncommitted: list[Event[Any]] = []

    @classmethod
    def from_history(
        cls, events: Iterable[Event[Any]], factory: EventFactory | None = None
    ) -> Self:
        """The aggregate after these events.

        Events of other aggregates may be among them: `when` sees them, the version does not count
        them. Raises AggregateNotFound when there is none of its own, HistoryGap when one is
        missing.
        """
        history = list(events)
        own = next((event.aggregate for event in history if cls._is_own(event)), None)
        if own is None:
            raise AggregateNotFound(cls.aggregate_type)
        aggregate = cls(own.id, factory)
        for event in history:
            aggregate.replay(event)
        return aggregate

    @abstractmethod
    def when(self, event: Event[Any]) -> None:
        """Change attributes as an event says. Never refuses: it has happened."""

    def to_snapshot(self) -> Mapping[str, Any]:
        """The attributes as a JSON object; see `snapshot_version`."""
        raise NotImplementedError(
            f"{type(self).__name__} has a snapshot_version and no to_snapshot"
        )

    def from_snapshot(self, state: Mapping[str, Any]) -> None:
        """Take the attributes from what `to_snapshot` gave."""
        raise NotImplementedError(
            f"{type(self).__name__} has a snapshot_version and no from_snapshot"
        )

    @property
    def uncommitted_events(self) -> tuple[Event[Any], ...]:
        """What was applied and is not appended yet, in order."""
        return tuple(self._uncommitted)

    def mark_committed(self) -> None:
        """All events were appended."""
        self._uncommitted.clear()

    def apply_event(self, data: EventData) -> None:
        """Let something happen: a new event with these data, at the next version.

        Raises AggregateReadOnly, InvalidEventData or UnknownEventType; nothing is changed then.
        """
        if self._factory is None:
            raise AggregateReadOnly(f"{self.aggregate_type}/{self.id}")
        created = self._factory.create(data, aggregate_id=self.id)
        event = _at_version(created, self.version + 1)
        self.replay(event)
        self._uncommitted.append(event)

    def replay(self, event: Event[Any]) -> None:
        """Take in an event that has happened. Raises HistoryGap."""
        if self._is_own(event):
            self.version = version_after(self.version, event)
        self.when(event)

    @classmethod
    def _is_own(cls, event: Event[Any]) -> bool:
        return event.aggregate is not None and event.aggregate.type == cls.aggregate_type


class RootModel(Generic[RootT]):
    """Implements AggregateModel for a class of aggregates; commands are functions of one."""

    def __init__(self, root: type[RootT], factory: EventFactory | None = None) -> None:
        self.aggregate_type = root.aggregate_type
        self._root = root
        self._factory = factory
        self.snapshots: SnapshotForm[RootT] | None = None
        if root.snapshot_version:
            self.snapshots = SnapshotForm(
                schema_version=root.snapshot_version,
                dump=lambda aggregate: aggregate.to_snapshot(),
                load=self._loaded,
            )

    def begin(self, aggregate_id: str) -> RootT:
        """See AggregateModel."""
        return self._root(aggregate_id, self._factory)

    def evolve(self, state: RootT, event: Event[Any]) -> RootT:
        """See AggregateModel. What the aggregate itself has applied is only marked as committed."""
        if state.uncommitted_events:
            state.mark_committed()
        if event.aggregate is None or (event.aggregate.version or 0) > state.version:
            state.replay(event)
        return state

    def decide(self, command: RootCommand[RootT], state: RootT) -> Sequence[Decided]:
        """See AggregateModel."""
        command(state)
        return state.uncommitted_events

    def restored(self, aggregate_id: str, version: int, state: RootT) -> RootT:
        """See AggregateModel."""
        state.id, state.version = aggregate_id, version
        return state

    def _loaded(self, state: Mapping[str, Any]) -> RootT:
        aggregate = self.begin("")
        aggregate.from_snapshot(state)
        return aggregate


def _at_version(event: Event[Any], version: int) -> Event[Any]:
    """The event as the aggregate sees it; what is appended gets its version from the store."""
    if event.aggregate is None:
        return event
    aggregate = event.aggregate._replace(version=version)
    return Event(event.envelope._replace(aggregate=aggregate), event.data)
