"""Who takes the events of a type: handlers, projections, re-keying."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from schemas.topics import repartition_topic
from streams.handler import BatchHandler, Handler, Reaction
from streams.projection import Projection
from streams.reading import KNOWN_TYPES
from streams.work_metrics import Tally, WorkMetrics
from streams.workload import Workload


class Takers(NamedTuple):
    """Who takes events of one type from one topic, and how many came."""

    tally: Tally
    handlers: tuple[Handler, ...]
    batch_handlers: tuple[BatchHandler, ...]
    folded: tuple[Projection, ...]
    rekeyed: tuple[Projection, ...]
    are_frequent: bool
    """Whether none but handlers and folds is among them."""

    @property
    def all(self) -> tuple[Handler | BatchHandler | Projection, ...]:
        """In the order in which they get an event."""
        return (*self.handlers, *self.batch_handlers, *self.folded, *self.rekeyed)


class TakersByType:
    """The takers of a workload, kept for the next event of their type."""

    def __init__(self, workload: Workload, metrics: WorkMetrics) -> None:
        self._workload = workload
        self._metrics = metrics
        self.by_repartition_topic = {
            repartition_topic(workload.app, known.name): known
            for known in workload.projections
            if known.key is not None
        }
        self._known: defaultdict[str, dict[str, Takers]] = defaultdict(dict)

    def known(self, topic: str) -> Mapping[str, Takers]:
        """Those of a topic that were found already, by the type of event."""
        return self._known[topic]

    def find(self, topic: str, event_type: str) -> Takers:
        """Who takes a type that somebody wants."""
        known = self._known[topic]
        found = known.get(event_type)
        if found is None:
            found = self._found(topic, event_type)
            if len(known) < KNOWN_TYPES:
                known[event_type] = found
        return found

    def _found(self, topic: str, event_type: str) -> Takers:
        workload = self._workload
        own = self.by_repartition_topic.get(topic)
        if own is not None:
            folded: tuple[Projection, ...] = (own,) if own.wants(event_type) else ()
            tally = self._tally(event_type, folded, is_copied=True)
            return Takers(tally, (), (), folded, (), are_frequent=True)
        wanting = [known for known in workload.projections if known.wants(event_type)]
        handlers = tuple(it for it in workload.handlers if it.wants(event_type))
        batch_handlers = tuple(it for it in workload.batch_handlers if it.wants(event_type))
        folded = tuple(known for known in wanting if known.key is None)
        rekeyed = tuple(known for known in wanting if known.key is not None)
        return Takers(
            self._tally(event_type, (*handlers, *batch_handlers, *folded)),
            handlers,
            batch_handlers,
            folded,
            rekeyed,
            are_frequent=not (batch_handlers or rekeyed),
        )

    def _tally(
        self, event_type: str, takers: Sequence[Reaction | Projection], *, is_copied: bool = False
    ) -> Tally:
        names = [taker.name for taker in takers]
        return self._metrics.tally(event_type, names, is_copied=is_copied)
