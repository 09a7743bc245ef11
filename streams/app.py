"""An app: the handlers and projections of one team, under one name."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypedDict, TypeVar, Unpack

from schemas.event import EventData
from schemas.pattern import validate_pattern
from schemas.topics import (
    COPIES,
    TopicSpec,
    changelog_topic,
    failure_topics,
)
from streams.errors import DuplicateName, InvalidHandler
from streams.handler import (
    MAIN,
    BatchHandler,
    EventPredicate,
    Handler,
    Reaction,
    check_annotation,
)
from streams.parking.letter import READ
from streams.policies import DEFAULT_STACK, Breaker, Policy, PolicyStack, with_deadline
from streams.projection import Fold, KeptIn, KeyOf, Projection, State
from streams.sagas.course import subscription_of
from streams.sagas.errors import InvalidSaga
from streams.sagas.saga import Saga
from streams.workload import FaustSetup, Workload

__all__ = ["MAIN", "App"]

SUBSCRIPTION_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


class HandlerOptions(TypedDict, total=False):
    """What may be said of a handler beside its pattern; see Handler for the rest."""

    name: str
    """Part of the ids of what it emits; its function's name when it is left out."""

    order: int
    can_handle: EventPredicate
    """May decline an event."""

    subscription: str
    """A consumer group of its own: what waits for it, a slow dependency say, holds up nobody."""

    deadline_s: float
    """The short word for the default policies with another TimeOut."""

    policies: tuple[Policy, ...]
    """What is put around the handler, read from top to bottom; see `streams.policies`."""

    concurrency: int


class ProjectionOptions(TypedDict, total=False):
    """What may be said of a projection beside its events and its first state."""

    key: KeyOf
    """Events are brought together by it, so totals are exact with any number of workers; without,
    entries are keyed as the events' records are."""

    kept_in: KeptIn
    """Tables are folded by `wundr worker`, Postgres rows by `wundr project`."""

    revision: int
    """Raised when the fold of a Postgres projection changes; see Projection."""


class App:
    """Collects what a team registers; holds no connection and does nothing by itself.

    Its name is part of stored progress (consumer groups `<app>.<subscription>`, `dlq.<app>`): a
    renamed app starts anew, and so does a renamed subscription.
    """

    def __init__(self, name: str, *, outages: tuple[type[BaseException], ...] = ()) -> None:
        """`outages`: errors by which clients that the handlers use say that something is away.

        They pause the subscription and are never dead letters, as connection errors and timeouts
        are anyway. Example: `(aiohttp.ClientConnectionError, psycopg.OperationalError)`.
        """
        self.name = name
        self.outages = outages
        self._handlers: list[Handler] = []
        self._batch_handlers: list[BatchHandler] = []
        self._projections: list[Projection] = []
        self._faust_setups: list[FaustSetup] = []
        self._sagas: list[Saga[Any]] = []

    def on(
        self,
        pattern: str | type[EventData],
        *,
        batch: bool = False,
        **options: Unpack[HandlerOptions],
    ) -> Callable[[FunctionT], FunctionT]:
        """Register a handler for a type, a prefix (`"analysis.*"`) or all (`"*"`).

        A type is given by its name or its data class. The function takes an event and a Context,
        with `batch` a list of events and a BatchContext. Raises InvalidPattern, HandlerMismatch,
        DuplicateName, InvalidHandler.
        """
        text = validate_pattern(pattern if isinstance(pattern, str) else pattern.event_type)
        _check_options(options, batch=batch)
        stack = _stack(options)

        def register(function: FunctionT) -> FunctionT:
            check_annotation(function, text)
            name = options.get("name") or str(
                getattr(function, "__name__", type(function).__name__)
            )
            self._refuse_duplicate(name, [known.name for known in self._reactions])
            self._refuse_other_counts(name, stack.breaker)
            details: dict[str, Any] = {**options, "name": name, "policies": stack}
            details.pop("deadline_s", None)
            if batch:
                self._batch_handlers.append(
                    BatchHandler(pattern=text, function=function, **details)
                )
            else:
                self._handlers.append(Handler(pattern=text, function=function, **details))
            return function

        return register

    def projection(
        self,
        name: str,
        *,
        on: Sequence[str],
        initial: Callable[[], State],
        **options: Unpack[ProjectionOptions],
    ) -> Callable[[Fold], Fold]:
        """Register a fold under a name. Raises InvalidPattern, DuplicateName."""
        patterns = tuple(validate_pattern(pattern) for pattern in on)

        def register(fold: Fold) -> Fold:
            self._refuse_duplicate(name, [known.name for known in self._projections])
            self._projections.append(
                Projection(name=name, patterns=patterns, fold=fold, initial=initial, **options)
            )
            return fold

        return register

    def add_saga(self, saga: Saga[Any]) -> None:
        """Register a saga, which gets a subscription of its own, `saga-<name>`.

        Raises InvalidSaga, DuplicateName.
        """
        name = getattr(saga, "name", "")
        if not SUBSCRIPTION_NAME.fullmatch(name) or not saga.started_by:
            raise InvalidSaga(f"{type(saga).__name__} has the name {name!r}")
        self._refuse_duplicate(name, [known.name for known in self._sagas])
        taken = {subscription_of(name)} & {known.subscription for known in self._reactions}
        self._refuse_duplicate(subscription_of(name), taken)
        self._sagas.append(saga)

    @property
    def sagas(self) -> tuple[Saga[Any], ...]:
        """All sagas as registered."""
        return tuple(self._sagas)

    @property
    def _reactions(self) -> tuple[Reaction, ...]:
        return (*self._handlers, *self._batch_handlers)

    def faust(self, setup: FaustSetup) -> FaustSetup:
        """Register stock Faust agents and tables beside the lanes of `main`.

        `setup` gets the `faust.App`. They have Faust's own delivery: an event whose agent raised is
        skipped, and what is acknowledged out of order may be lost.
        """
        self._faust_setups.append(setup)
        return setup

    @property
    def handlers(self) -> tuple[Handler, ...]:
        """All handlers in the order in which they run."""
        return tuple(sorted(self._handlers, key=lambda handler: handler.order))

    @property
    def batch_handlers(self) -> tuple[BatchHandler, ...]:
        """All handlers of batches in the order in which they run."""
        return tuple(sorted(self._batch_handlers, key=lambda handler: handler.order))

    @property
    def projections(self) -> tuple[Projection, ...]:
        """All projections as registered."""
        return tuple(self._projections)

    def projections_in(self, kept_in: KeptIn) -> tuple[Projection, ...]:
        """The projections that are kept in one place."""
        return tuple(known for known in self._projections if known.kept_in is kept_in)

    @property
    def breakers(self) -> Mapping[str, Breaker]:
        """The breakers of all handlers by the names of their dependencies."""
        return {
            breaker.name or known.name: breaker
            for known in self._reactions
            if (breaker := known.policies.breaker) is not None
        }

    def subscriptions(self) -> tuple[str, ...]:
        """The names of all subscriptions that have something to work on; `main` first."""
        named = {known.subscription for known in self._reactions}
        own = sorted(named - {MAIN} | {subscription_of(known.name) for known in self._sagas})
        tables = self.projections_in(KeptIn.TABLE)
        has_main = MAIN in named or tables or self._faust_setups or not own
        return (MAIN, *own) if has_main else tuple(own)

    def workload(self, subscription: str = MAIN) -> Workload:
        """What a subscription works on; tables belong to `main`.

        Raises InvalidHandler when some of it needs the order that other parts give up.
        """
        workload = Workload(
            app=self.name,
            subscription=subscription,
            handlers=tuple(known for known in self.handlers if known.subscription == subscription),
            batch_handlers=tuple(
                known for known in self.batch_handlers if known.subscription == subscription
            ),
            projections=self.projections_in(KeptIn.TABLE) if subscription == MAIN else (),
            faust_setups=tuple(self._faust_setups) if subscription == MAIN else (),
            saga=next(
                (known for known in self._sagas if subscription_of(known.name) == subscription),
                None,
            ),
        )
        if workload.projections and workload.concurrency > 1:
            raise InvalidHandler(
                f"{workload.group} has projections, which need events in order: give the handlers "
                "with `concurrency` a subscription of their own"
            )
        return workload

    def topic_specs(self, partitions: int) -> tuple[TopicSpec, ...]:
        """Every topic that belongs to the app alone, Faust's changelogs included."""
        week = str(7 * 86_400_000)
        repartitions = [
            TopicSpec(
                name=name,
                partitions=partitions,
                config={"cleanup.policy": "delete", "retention.ms": week, **COPIES},
                why=f"re-keyed events of app {self.name}",
            )
            for name in self.workload().repartition_topics()
        ]
        changelogs = [
            TopicSpec(
                name=changelog_topic(self.name, MAIN, known.name),
                partitions=partitions,
                config={"cleanup.policy": "compact", **COPIES},
                why=f"changelog of projection {known.name}",
            )
            for known in self.projections_in(KeptIn.TABLE)
        ]
        return (*failure_topics(self.name, partitions), *repartitions, *changelogs)

    def _refuse_other_counts(self, handler: str, breaker: Breaker | None) -> None:
        """Breakers of one name are one: they must say the same."""
        if breaker is None:
            return
        name = breaker.name or handler
        for known in self._reactions:
            other = known.policies.breaker
            if other is None or (other.name or known.name) != name:
                continue
            if replace(other, name=name) != replace(breaker, name=name):
                raise InvalidHandler(
                    f"{handler} and {known.name} share the breaker {name!r}: let both say {other}"
                )

    @staticmethod
    def _refuse_duplicate(name: str, known: Iterable[str]) -> None:
        if name == READ:
            raise InvalidHandler(f"{READ!r} is the platform's own name for what cannot be read")
        if name in known:
            raise DuplicateName(f"the name {name!r} is used twice")


def _check_options(options: HandlerOptions, *, batch: bool) -> None:
    if options.get("concurrency", 1) < 1:
        raise InvalidHandler("concurrency is above zero")
    if batch and "concurrency" in options:
        raise InvalidHandler("a handler of batches has no concurrency: it has the whole list")
    name = options.get("subscription", MAIN)
    if not SUBSCRIPTION_NAME.fullmatch(name):
        raise InvalidHandler(f"{name!r} cannot be part of a consumer group's name")


def _stack(options: HandlerOptions) -> PolicyStack:
    """The policies of a handler. Raises InvalidHandler."""
    policies, deadline_s = options.get("policies"), options.get("deadline_s")
    if policies is not None and deadline_s is not None:
        raise InvalidHandler(f"say TimeOut({deadline_s:g}) among the policies, not `deadline_s`")
    if deadline_s is not None:
        return with_deadline(deadline_s)
    return DEFAULT_STACK if policies is None else PolicyStack(tuple(policies))
