"""The port of traces: spans of what happens to events, for whoever collects them.

Nothing of it stands in the way while traces are off: what is traced is wrapped (`streams.traced`)
where a process is put together, and without a tracer nothing is wrapped.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Protocol

from schemas.headers import TraceContext

REMEMBERED: Final = 10_000
"""Events whose cause a process keeps in mind until they are sent."""

Attribute = str | int
NO_ATTRIBUTES: Final[Mapping[str, Attribute]] = MappingProxyType({})


class SpanKind(StrEnum):
    """Which end of a message a span is at."""

    PRODUCER = "producer"
    CONSUMER = "consumer"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanPlan:
    """A span as it is to begin.

    `own` is given where others know the span already, by the header of a record. `since_ms`:
    milliseconds since 1970, for what began before anybody knew; else it begins now.
    """

    name: str
    kind: SpanKind
    own: TraceContext | None = None
    parent: TraceContext | None = None
    links: Sequence[TraceContext] = ()
    attributes: Mapping[str, Attribute] = field(default_factory=lambda: NO_ATTRIBUTES)
    since_ms: int | None = None


class Span(Protocol):
    """Something that goes on."""

    @property
    def context(self) -> TraceContext:
        """By which others name it as their parent."""
        ...

    def inside(self) -> Context:
        """A copy of the current context in which this is the current span."""
        ...

    def end(self, error: BaseException | None = None) -> None:
        """It is over; `error` says that it failed."""
        ...


class Tracer(Protocol):
    """Begins spans. It never raises and never waits."""

    def start(self, plan: SpanPlan) -> Span:
        """Begin a span."""
        ...

    def current(self) -> TraceContext | None:
        """The span that the caller runs in, whoever began it."""
        ...


class EmittedFrom:
    """By which spans events were emitted that are not sent yet. Bounded: the oldest are let go."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._limit = limit
        self._spans: OrderedDict[str, TraceContext] = OrderedDict()

    def remember(self, event_ids: Iterable[str], span: TraceContext) -> None:
        """These events come from this span."""
        for event_id in event_ids:
            self._spans[event_id] = span
        while len(self._spans) > self._limit:
            self._spans.popitem(last=False)

    def forget(self, event_id: str) -> TraceContext | None:
        """The span that an event comes from; asked once, when it is sent."""
        return self._spans.pop(event_id, None)


@dataclass(frozen=True, slots=True)
class Tracing:
    """The tracer of a process, and what its parts tell each other."""

    tracer: Tracer
    emitted_from: EmittedFrom = field(default_factory=EmittedFrom)
