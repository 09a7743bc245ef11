"""What one subscription works on: handlers and projections that share their progress."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from schemas.catalog import Catalog
from schemas.topics import changelog_topic, repartition_topic
from streams.handler import MAIN, BatchHandler, Handler, Reaction
from streams.projection import Projection
from streams.sagas.saga import Saga

FaustSetup = Callable[[Any], None]
"""Registers stock agents on the `faust.App` that it is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The handlers, in the order in which they run, and projections of a subscription of an app."""

    app: str
    subscription: str = MAIN
    handlers: tuple[Handler, ...] = ()
    batch_handlers: tuple[BatchHandler, ...] = ()
    projections: tuple[Projection, ...] = ()
    faust_setups: tuple[FaustSetup, ...] = ()
    saga: Saga[Any] | None = None
    """Its handlers need a store: who runs the workload adds them, see `handled_by`."""

    def handled_by(self, handlers: Sequence[Handler]) -> Self:
        """The workload with these handlers behind its own."""
        return replace(self, handlers=(*self.handlers, *handlers))

    @property
    def group(self) -> str:
        """The consumer group."""
        return f"{self.app}.{self.subscription}"

    @property
    def reactions(self) -> tuple[Reaction, ...]:
        """All that runs beside the projections."""
        return (*self.handlers, *self.batch_handlers)

    @property
    def concurrency(self) -> int:
        """How many keys of one partition may be in work at a time."""
        return max((handler.concurrency for handler in self.handlers), default=1)

    def wants(self, event_type: str) -> bool:
        """Whether anything here takes this type: decided without decoding."""
        takers: Iterable[Reaction | Projection] = (*self.reactions, *self.projections)
        return any(taker.wants(event_type) for taker in takers)

    def event_topics(self, catalog: Catalog) -> tuple[str, ...]:
        """The topics in which its types can occur."""
        patterns = [handler.pattern for handler in self.reactions]
        patterns += [pattern for known in self.projections for pattern in known.patterns]
        return catalog.topics_for(patterns)

    def repartition_topics(self) -> tuple[str, ...]:
        """The topics that its projections need to re-key events."""
        return tuple(
            repartition_topic(self.app, known.name)
            for known in self.projections
            if known.key is not None
        )

    def changelogs(self) -> Mapping[str, str]:
        """The changelog topic of each table, by its name."""
        return {
            known.name: changelog_topic(self.app, self.subscription, known.name)
            for known in self.projections
        }
