"""An app: the handlers and projections of one team, under one name."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from schemas.catalog import Catalog
from schemas.event import EventData
from schemas.pattern import validate_pattern
from schemas.topics import (
    COPIES,
    TopicSpec,
    changelog_topic,
    dead_letter_topic,
    repartition_topic,
    retry_topic,
)
from streams.errors import DuplicateName
from streams.handler import EventPredicate, Handler, check_annotation, every_event
from streams.projection import Fold, KeyOf, Projection, State

MAIN = "main"
"""The subscription that an app has unless a handler asks for its own."""

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


class App:
    """Collects what a team registers; holds no connection and does nothing by itself.

    Its name is part of stored progress (consumer group `<app>.main`, `dlq.<app>`): a renamed app
    starts anew.
    """

    def __init__(self, name: str, *, outages: tuple[type[BaseException], ...] = ()) -> None:
        """`outages`: errors by which clients that the handlers use say that something is away.

        They pause the subscription and are never dead letters, as connection errors and timeouts
        are anyway. Example: `(aiohttp.ClientConnectionError, psycopg.OperationalError)`.
        """
        self.name = name
        self.outages = outages
        self._handlers: list[Handler] = []
        self._projections: list[Projection] = []

    def on(
        self,
        pattern: str | type[EventData],
        *,
        name: str | None = None,
        order: int = 0,
        can_handle: EventPredicate = every_event,
    ) -> Callable[[FunctionT], FunctionT]:
        """Register a handler for a type, a prefix (`"analysis.*"`) or all (`"*"`).

        A type is given by its name or its data class. `can_handle` may decline an event. Raises
        InvalidPattern, HandlerMismatch, DuplicateName.
        """
        text = validate_pattern(pattern if isinstance(pattern, str) else pattern.event_type)

        def register(function: FunctionT) -> FunctionT:
            check_annotation(function, text)
            handler = Handler(
                name=name or str(getattr(function, "__name__", type(function).__name__)),
                pattern=text,
                function=function,
                order=order,
                can_handle=can_handle,
            )
            self._refuse_duplicate(handler.name, [known.name for known in self._handlers])
            self._handlers.append(handler)
            return function

        return register

    def projection(
        self,
        name: str,
        *,
        on: Sequence[str],
        initial: Callable[[], State],
        key: KeyOf | None = None,
    ) -> Callable[[Fold], Fold]:
        """Register a fold under a name.

        With `key` events are repartitioned by it, so totals are exact
        with any number of workers; without, entries are keyed as the events' records are."""
        patterns = tuple(validate_pattern(pattern) for pattern in on)

        def register(fold: Fold) -> Fold:
            self._refuse_duplicate(name, [known.name for known in self._projections])
            self._projections.append(
                Projection(name=name, patterns=patterns, fold=fold, initial=initial, key=key)
            )
            return fold

        return register

    @property
    def handlers(self) -> tuple[Handler, ...]:
        """All handlers in the order in which they run."""
        return tuple(sorted(self._handlers, key=lambda handler: handler.order))

    @property
    def projections(self) -> tuple[Projection, ...]:
        """All projections as registered."""
        return tuple(self._projections)

    def group(self, subscription: str = MAIN) -> str:
        """The consumer group of a subscription."""
        return f"{self.name}.{subscription}"

    def wants(self, event_type: str) -> bool:
        """Whether any handler or projection takes this type: decided without decoding."""
        takers: Iterable[Handler | Projection] = (*self._handlers, *self._projections)
        return any(taker.wants(event_type) for taker in takers)

    def event_topics(self, catalog: Catalog) -> tuple[str, ...]:
        """The topics in which the app's types can occur."""
        patterns = [handler.pattern for handler in self._handlers]
        patterns += [pattern for known in self._projections for pattern in known.patterns]
        return catalog.topics_for(patterns)

    def repartition_topics(self) -> tuple[str, ...]:
        """The topics that the app's own projections need to re-key events."""
        return tuple(
            repartition_topic(self.name, known.name)
            for known in self._projections
            if known.key is not None
        )

    def topic_specs(self, partitions: int) -> tuple[TopicSpec, ...]:
        """Every topic that belongs to the app alone, Faust's changelogs included."""
        month, week = str(30 * 86_400_000), str(7 * 86_400_000)
        failures = [
            TopicSpec(
                name=topic(self.name),
                partitions=partitions,
                config={"cleanup.policy": "delete", "retention.ms": month, **COPIES},
                why=f"failed events of app {self.name}",
            )
            for topic in (retry_topic, dead_letter_topic)
        ]
        repartitions = [
            TopicSpec(
                name=name,
                partitions=partitions,
                config={"cleanup.policy": "delete", "retention.ms": week, **COPIES},
                why=f"re-keyed events of app {self.name}",
            )
            for name in self.repartition_topics()
        ]
        changelogs = [
            TopicSpec(
                name=changelog_topic(self.name, MAIN, known.name),
                partitions=partitions,
                config={"cleanup.policy": "compact", **COPIES},
                why=f"changelog of projection {known.name}",
            )
            for known in self._projections
        ]
        return (*failures, *repartitions, *changelogs)

    @staticmethod
    def _refuse_duplicate(name: str, known: Iterable[str]) -> None:
        if name in known:
            raise DuplicateName(f"the name {name!r} is used twice")
