"""Record headers: what a reader can know of an event without decoding it."""

import re
from hashlib import sha256
from typing import Any, Final

from schemas.event import Event

CE_ID: Final = "ce_id"
CE_TYPE: Final = "ce_type"
TRACEPARENT: Final = "traceparent"

AGGREGATE: Final = "wundr_aggregate"
"""On a broadcast: `<type>/<id>` of the event's aggregate; empty for an event about none."""

COMPRESSIBLE: Final = "wundr_compressible"
"""On a broadcast: a later one of the same aggregate and type says all that this one says."""

_TRACE_ID: Final = re.compile(r"(?!0{32})[0-9a-f]{32}")


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
    trace_id = event.metadata.trace_id or ""
    if not _TRACE_ID.fullmatch(trace_id):
        trace_id = sha256((event.correlation_id or event.id).encode()).hexdigest()[:32]
    return f"00-{trace_id}-{sha256(event.id.encode()).hexdigest()[:16]}-01"
