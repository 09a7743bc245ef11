"""An aggregate as three pure functions: `initial`, `evolve` and `decide`.

No clock, no network, no id: what is decided follows from the command and the state alone, and is
decided again when somebody else was faster.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from schemas.event import Event, EventData
from streams.errors import HistoryGap
from streams.snapshot import SnapshotForm

CommandT = TypeVar("CommandT")
StateT = TypeVar("StateT")
C_contra = TypeVar("C_contra", contravariant=True)

Decided = EventData | Event[Any]
"""What a decision consists of: the data of new events, or whole ones."""


class AggregateModel(Protocol[C_contra, StateT]):
    """What a repository needs of an aggregate type, in whichever form it is written."""

    @property
    def aggregate_type(self) -> str:
        """The type, as the schema files name it."""
        ...

    @property
    def snapshots(self) -> SnapshotForm[StateT] | None:
        """How its state is kept; None for aggregates whose history is always read whole."""
        ...

    def begin(self, aggregate_id: str) -> StateT:
        """The state of an aggregate without events."""
        ...

    def evolve(self, state: StateT, event: Event[Any]) -> StateT:
        """The state after one more event; the given one is not used any more."""
        ...

    def decide(self, command: C_contra, state: StateT) -> Sequence[Decided]:
        """What a command brings about; raises what refuses it."""
        ...

    def restored(self, aggregate_id: str, version: int, state: StateT) -> StateT:
        """A state that comes from a snapshot, ready to be evolved."""
        ...


# Without slots: with them, Python 3.11 cannot call `Decider[Command, State](...)`.
@dataclass(frozen=True, kw_only=True)
class Decider(Generic[CommandT, StateT]):
    """Implements AggregateModel by three functions.

    `decide` gives the data of new events in order, none when nothing changes, and raises an error
    of its own when the command is refused. `evolve` knows no refusal: it has happened.
    """

    aggregate_type: str
    initial: Callable[[], StateT]
    decide: Callable[[CommandT, StateT], Sequence[Decided]]
    evolve: Callable[[StateT, Event[Any]], StateT]
    snapshots: SnapshotForm[StateT] | None = None

    def begin(self, aggregate_id: str) -> StateT:
        """See AggregateModel."""
        return self.initial()

    def restored(self, aggregate_id: str, version: int, state: StateT) -> StateT:
        """See AggregateModel."""
        return state

    def fold(self, events: Iterable[Event[Any]]) -> StateT:
        """The state after these events."""
        state = self.initial()
        for event in events:
            state = self.evolve(state, event)
        return state


def version_after(version: int, event: Event[Any]) -> int:
    """The version of an aggregate behind its next event.

    Raises HistoryGap when the event is not the next one; one without a version always is.
    """
    aggregate = event.aggregate
    if aggregate is None or aggregate.version is None:
        return version + 1
    if aggregate.version != version + 1:
        raise HistoryGap(event.key, version + 1, aggregate.version)
    return aggregate.version
