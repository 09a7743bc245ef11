"""Who takes the events of a type: handlers, projections, re-keying."""

from typing import NamedTuple

from schemas.topics import repartition_topic
from streams.handler import BatchHandler, Handler
from streams.projection import Projection
from streams.reading import KNOWN_TYPES
from streams.workload import Workload


class Takers(NamedTuple):
    """Who takes events of one type from one topic."""

    handlers: tuple[Handler, ...]
    batch_handlers: tuple[BatchHandler, ...]
    folded: tuple[Projection, ...]
    rekeyed: tuple[Projection, ...]
    are_frequent: bool
    """Whether none but handlers and folds is among them."""


class TakersByType:
    """The takers of a workload, kept for the next event of their type."""

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        self.by_repartition_topic = {
            repartition_topic(workload.app, known.name): known
            for known in workload.projections
            if known.key is not None
        }
        self.known: dict[tuple[str, str], Takers] = {}

    def find(self, topic: str, event_type: str) -> Takers:
        """Who takes a type that somebody wants."""
        found = self.known.get((topic, event_type))
        if found is None:
            found = self._found(topic, event_type)
            if len(self.known) < KNOWN_TYPES:
                self.known[topic, event_type] = found
        return found

    def _found(self, topic: str, event_type: str) -> Takers:
        workload = self._workload
        own = self.by_repartition_topic.get(topic)
        if own is not None:
            folded = (own,) if own.wants(event_type) else ()
            return Takers((), (), folded, (), are_frequent=True)
        wanting = [known for known in workload.projections if known.wants(event_type)]
        batch_handlers = tuple(it for it in workload.batch_handlers if it.wants(event_type))
        rekeyed = tuple(known for known in wanting if known.key is not None)
        return Takers(
            tuple(known for known in workload.handlers if known.wants(event_type)),
            batch_handlers,
            tuple(known for known in wanting if known.key is None),
            rekeyed,
            are_frequent=not (batch_handlers or rekeyed),
        )
