"""Record headers: what a reader can know of an event without decoding it."""

import re
from hashlib import sha256
from typing import Any, Final, NamedTuple

from schemas.event import Event

CE_ID: Final = "ce_id"
CE_TYPE: Final = "ce_type"
TRACEPARENT: Final = "traceparent"

AGGREGATE: Final = "wundr_aggregate"
"""On a broadcast: `<type>/<id>` of the event's aggregate; empty for an event about none."""

COMPRESSIBLE: Final = "wundr_compressible"
"""On a broadcast: a later one of the same aggregate and type says all that this one says."""

_TRACE_ID: Final = re.compile(r"(?!0{32})[0-9a-f]{32}")
_TRACEPARENT: Final = re.compile(
    rb"[0-9a-f]{2}-((?!0{32})[0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?"
)


def event_headers(event: Event[Any]) -> tuple[tuple[str, bytes], ...]:
    """The headers of every record that carries this event."""
    return (
        (CE_ID, event.id.encode()),
        (CE_TYPE, event.type.encode()),
        (TRACEPARENT, traceparent(event).encode()),
    )


def traceparent(event: Event[Any]) -> str:
    """The W3C trace context.

    The event's trace, else one made of its correlation; the span is the event.
    """
    context = trace_context(event.id, event.correlation_id, event.metadata.trace_id)
    return f"00-{context.trace_id}-{context.span_id}-01"


class TraceContext(NamedTuple):
    """A span and the trace that it belongs to, in hexadecimal as W3C writes them."""

    trace_id: str
    span_id: str


def trace_context(event_id: str, correlation_id: str | None, trace_id: str | None) -> TraceContext:
    """The span that publishes an event: the same for everybody who knows the event."""
    own = sha256(event_id.encode()).hexdigest()
    if trace_id is None or not is_trace_id(trace_id):
        root = correlation_id or event_id
        trace_id = (own if root == event_id else sha256(root.encode()).hexdigest())[:32]
    return TraceContext(trace_id, own[:16])


def is_trace_id(text: str | None) -> bool:
    """Whether a text is a trace id of W3C."""
    return text is not None and _TRACE_ID.fullmatch(text) is not None


def read_traceparent(header: bytes | None) -> TraceContext | None:
    """The trace context in a header; None where there is none that can be read."""
    found = None if header is None else _TRACEPARENT.fullmatch(header)
    return None if found is None else TraceContext(found[1].decode(), found[2].decode())
