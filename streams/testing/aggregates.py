"""Given events, when a command, then events: the test of an aggregate, in either form.

    AggregateScenario(ANALYSIS, "a-1")
        .given(AnalysisStarted(...))
        .when(CompleteAnalysis(...), times=2)
        .then(AnalysisCompleted(...))

Pure: nothing is stored, nothing waits, and every run has the same ids and times. What does not hold
is an AssertionError that shows both sides.
"""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar, overload

from schemas.catalog import Catalog
from schemas.event import Event, EventFactory
from streams.aggregate import AggregateRoot, RootCommand, RootModel
from streams.decider import AggregateModel, Decided
from streams.testing.events import Told, counting_factory, data_of, difference, packaged_catalog

CommandT = TypeVar("CommandT")
StateT = TypeVar("StateT")
RootT = TypeVar("RootT", bound=AggregateRoot)


class AggregateScenario(Generic[CommandT, StateT]):
    """An aggregate whose story begins with what is given."""

    @overload
    def __init__(
        self: "AggregateScenario[RootCommand[RootT], RootT]",
        aggregate: type[RootT],
        aggregate_id: str,
        *,
        catalog: Catalog | None = None,
    ) -> None: ...

    @overload
    def __init__(
        self,
        aggregate: AggregateModel[CommandT, StateT],
        aggregate_id: str,
        *,
        catalog: Catalog | None = None,
    ) -> None: ...

    def __init__(
        self, aggregate: Any, aggregate_id: str, *, catalog: Catalog | None = None
    ) -> None:
        """`aggregate`: a Decider, or a class of aggregates, whose commands are functions of one.

        `catalog`: the event types, those of the platform when it is left out.
        """
        self._factory = counting_factory(catalog or packaged_catalog())
        is_root = isinstance(aggregate, type)
        self._model: AggregateModel[CommandT, StateT] = (
            RootModel(aggregate, self._factory) if is_root else aggregate  # type: ignore[assignment]  # see the overloads
        )
        self._id = aggregate_id
        self._given: tuple[Told, ...] = ()

    def given(self, *history: Told) -> "AggregateScenario[CommandT, StateT]":
        """These events have happened, behind those that were given before."""
        self._given += history
        return self

    def when(self, command: CommandT, *, times: int = 1) -> "Outcome[StateT]":
        """The command is carried out.

        With `times=2` it comes again, as from a caller that got no answer: the second must bring
        nothing about, by deciding so or by a refusal, though nobody gave it an id.
        """
        story = _Story(self._model, self._id, self._factory)
        for event in self._given:
            story.happened(event)
        outcome = story.outcome(lambda: self._model.decide(command, story.state))
        for _ in range(times - 1):
            again = story.outcome(lambda: self._model.decide(command, story.state))
            if again.events:
                what = "the command came again and brought something about"
                raise AssertionError(difference(what, (), data_of(again.events)))
        return outcome

    def then_state(self, expected: StateT | Callable[[StateT], bool]) -> None:
        """The given events make this state, or one that the function says yes to."""
        story = _Story(self._model, self._id, self._factory)
        for event in self._given:
            story.happened(event)
        Outcome(story.state, (), None).then_state(expected)


class Outcome(Generic[StateT]):
    """What a command has brought about."""

    def __init__(
        self, state: StateT, events: Sequence[Event[Any]], refusal: Exception | None
    ) -> None:
        self.state = state
        self.events = tuple(events)
        self.refusal = refusal

    def then(self, *expected: Told) -> "Outcome[StateT]":
        """Exactly these events, in this order; compared by their data. None: nothing happened."""
        if self.refusal is not None:
            raise AssertionError("the command was refused") from self.refusal
        if data_of(self.events) != data_of(expected):
            what = "other events were decided"
            raise AssertionError(difference(what, data_of(expected), data_of(self.events)))
        return self

    def then_state(self, expected: StateT | Callable[[StateT], bool]) -> "Outcome[StateT]":
        """This state behind the events, or one that the function says yes to."""
        holds = expected(self.state) if callable(expected) else expected == self.state
        if not holds:
            wanted = "one that the function says yes to" if callable(expected) else expected
            raise AssertionError(difference("the state is another", [wanted], [self.state]))
        return self

    def refused(self, error: type[Exception], message: str = "") -> "Outcome[StateT]":
        """The command was refused by this error, whose text has `message` in it."""
        if not isinstance(self.refusal, error) or message not in str(self.refusal):
            found = self.events if self.refusal is None else [self.refusal]
            what = "the command was not refused like this"
            wanted = f"{error.__name__}{f' with {message!r}' if message else ''}"
            raise AssertionError(difference(what, [wanted], found)) from self.refusal
        return self


class _Story(Generic[StateT]):
    """The events of one aggregate so far."""

    def __init__(
        self,
        model: AggregateModel[Any, StateT],
        aggregate_id: str,
        factory: EventFactory,
    ) -> None:
        self._model = model
        self._id = aggregate_id
        self._factory = factory
        self._version = 0
        self.state = model.begin(aggregate_id)

    def happened(self, told: Decided) -> Event[Any]:
        """Take an event in, as the next version when it belongs to the aggregate."""
        event = (
            told if isinstance(told, Event) else self._factory.create(told, aggregate_id=self._id)
        )
        if event.aggregate is not None and event.aggregate.type == self._model.aggregate_type:
            self._version += 1
            aggregate = event.aggregate._replace(version=self._version)
            event = Event(event.envelope._replace(aggregate=aggregate), event.data)
        self.state = self._model.evolve(self.state, event)
        return event

    def outcome(self, decide: Callable[[], Sequence[Decided]]) -> Outcome[StateT]:
        """Decide, and let it happen."""
        try:
            decided = tuple(decide())
        except Exception as refusal:  # noqa: BLE001  # the test says which one it expects
            return Outcome(self.state, (), refusal)
        events = [self.happened(one) for one in decided]
        return Outcome(self.state, events, None)
