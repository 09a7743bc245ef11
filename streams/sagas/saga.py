"""A saga: what one workflow over many events is, in the words of a team. Pure.

No clock, no network, no id: what a saga does follows from the events that it has taken in, and it
says so by reactions. Each course of it (one order, one setup session) has a key.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from typing import Any, ClassVar, Final, Generic, TypeVar

from schemas.event import Event, EventData
from schemas.events.system import SystemSagaDeadlinePassed
from streams.sagas.errors import InvalidReaction

StateT = TypeVar("StateT")

DeadlinePassed = SystemSagaDeadlinePassed
"""The data of the event by which a saga hears of its own deadline."""

LONGEST_NAME: Final = 200
"""Characters of a deadline's name, which stands in an index."""

LONGEST_WAIT_S: Final = 10 * 365 * 86_400.0
"""A deadline that is further away is a mistake of units."""

EARLIEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""The beginning of the time that events can have; a deadline before it is a mistake of units."""

LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)
"""Nobody waits for so long: a deadline behind it is a mistake of units, too."""


@dataclass(frozen=True, slots=True)
class Emit:
    """An event goes out, caused by the one that was taken in, within its correlation.

    Of an appended type it becomes the next version of its aggregate, whichever that is.
    `aggregate_id` may be left out where the type's key field holds it.
    """

    data: EventData
    aggregate_id: str | None = None


@dataclass(frozen=True, slots=True)
class Deadline:
    """The saga hears a DeadlinePassed of this name, once, unless it is cancelled or ends before.

    `after_s` counts from the moment at which the step is taken; `at` is a time with a zone. Set
    again under the same name it replaces the one before. Raises InvalidReaction.
    """

    name: str
    after_s: float | None = None
    at: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse what no clock could keep."""
        _check_name(self.name)
        if (self.after_s is None) == (self.at is None):
            raise InvalidReaction(f"deadline {self.name!r} needs either `after_s` or `at`")
        if self.after_s is not None and not (
            isfinite(self.after_s) and 0 <= self.after_s <= LONGEST_WAIT_S
        ):
            raise InvalidReaction(f"deadline {self.name!r} is after {self.after_s} s")
        if self.at is not None:
            self._check_time(self.at)

    def _check_time(self, at: datetime) -> None:
        if at.utcoffset() is None:
            raise InvalidReaction(f"deadline {self.name!r} is at a time without a zone")
        if not EARLIEST <= at < LATEST:
            raise InvalidReaction(f"deadline {self.name!r} is at {at.isoformat()}")


@dataclass(frozen=True, slots=True)
class CancelDeadline:
    """The deadline of this name is not waited for any more; one that is not set is no fault.

    Raises InvalidReaction for what cannot be the name of one.
    """

    name: str

    def __post_init__(self) -> None:
        """Refuse what nobody can have set."""
        _check_name(self.name)


@dataclass(frozen=True, slots=True)
class Compensate:
    """What was done is undone: what `compensate` says goes out.

    The course is over when there is nothing to undo, or by Complete once all of it is undone.
    """


@dataclass(frozen=True, slots=True)
class Complete:
    """The course is over: completed, or compensated where it was being undone.

    Its deadlines go; later events of its key are left aside.
    """


Reaction = Emit | Deadline | CancelDeadline | Compensate | Complete
"""What a saga may decide. Reactions to one event are carried out together, or not at all."""


class Saga(ABC, Generic[StateT]):
    """A workflow that events start and carry on. Subclass it and register it by `app.add_saga`.

    `started_by` and `continued_by` name event types by their data classes. An event that starts
    nothing and finds no course of its key is left aside, and so is one behind the end of a course.
    The name is part of stored progress: a renamed saga starts anew.
    """

    name: ClassVar[str]
    started_by: ClassVar[Sequence[type[EventData]]]
    continued_by: ClassVar[Sequence[type[EventData]]] = ()

    @abstractmethod
    def correlate(self, event: Event[Any]) -> str:
        """Which course an event belongs to: a text that all events of it have in common."""

    @abstractmethod
    def initial(self) -> StateT:
        """The state of a course that has not taken in anything."""

    @abstractmethod
    def evolve(self, state: StateT, event: Event[Any]) -> StateT:
        """The state with one more event taken in, a DeadlinePassed among them.

        It knows no refusal. The state is never stored: it is folded from the events of the course
        whenever it is needed, so it may be of any type and change with a release.
        """

    @abstractmethod
    def decide(self, state: StateT, event: Event[Any]) -> Sequence[Reaction]:
        """What follows from an event; `state` has taken it in already.

        What it raises takes nothing in: the event is tried again, then a dead letter.
        """

    def compensate(self, state: StateT) -> Sequence[Emit]:
        """What has to go out to undo what this course has done, last things first."""
        return ()


def _check_name(name: str) -> None:
    if not name or "\x00" in name or len(name) > LONGEST_NAME or not _is_text(name):
        raise InvalidReaction(f"{name!r} is no name for a deadline")


def _is_text(name: str) -> bool:
    """Whether it can be encoded: half of a surrogate pair cannot."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
