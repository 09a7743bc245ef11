"""A broadcast has one span on a node, from the broker's time to its first client."""

from __future__ import annotations

from gateway.broadcast import Broadcast, read_broadcast
from gateway.emit_spans import EmitSpans
from schemas.headers import TRACEPARENT, TraceContext
from streams.records import RawRecord
from tests.unit.infra.kept_traces import Traces, parent_of

PUBLISHED = TraceContext("1" * 32, "2" * 16)


def arrived(offset: int, traceparent: bytes | None = None) -> tuple[RawRecord, Broadcast]:
    header = traceparent or f"00-{PUBLISHED.trace_id}-{PUBLISHED.span_id}-01".encode()
    record = RawRecord(
        topic="broadcast.project",
        partition=0,
        offset=offset,
        timestamp_ms=1_000,
        key=b"project.a",
        value=b'{"id": "e", "type": "analysis.started"}',
        headers=((TRACEPARENT, header),),
    )
    return record, read_broadcast(record, "epoch")


def test_the_first_client_ends_the_span_and_others_have_none() -> None:
    traces = Traces()
    spans = EmitSpans(traces.tracing.tracer)
    record, broadcast = arrived(0)
    spans.read(record)
    spans.emitted([broadcast])
    spans.emitted([broadcast])
    span = traces.one("emit analysis.started")
    assert parent_of(span) == int(PUBLISHED.span_id, 16)
    assert span.start_time == 1_000 * 1_000_000


def test_what_nobody_sees_has_no_span() -> None:
    traces = Traces()
    spans = EmitSpans(traces.tracing.tracer)
    spans.read(arrived(0)[0])
    assert traces.named("emit analysis.started") == []


def test_a_header_that_is_no_trace_is_left_alone() -> None:
    traces = Traces()
    spans = EmitSpans(traces.tracing.tracer)
    record, broadcast = arrived(0, b"nonsense")
    spans.read(record)
    spans.emitted([broadcast])
    assert traces.named("emit analysis.started") == []


def test_broadcasts_that_wait_for_a_client_are_bounded() -> None:
    traces = Traces()
    spans = EmitSpans(traces.tracing.tracer, limit=1)
    (old, first), (new, second) = arrived(0), arrived(1)
    spans.read(old)
    spans.read(new)
    spans.emitted([first, second])
    assert len(traces.named("emit analysis.started")) == 1
