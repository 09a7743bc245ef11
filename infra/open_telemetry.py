"""Spans by OpenTelemetry: the one door to it. Import it only when traces are asked for.

Spans leave in the background over OTLP, by the standard variables `OTEL_*`. A collector that is
away costs spans, never an event.
"""

from __future__ import annotations

from contextvars import Context, ContextVar, copy_context
from threading import Thread
from typing import Final

from opentelemetry import context as variables_of_opentelemetry
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, Status, StatusCode, TraceFlags

from schemas.headers import TraceContext
from streams.tracing import Span, SpanKind, SpanPlan

LINKS: Final = 4_096
"""Links that a span keeps: a sink stores up to 4,000 events in one batch."""

CLOSE_S: Final = 2.0
"""How long the end of a process waits for a collector: less than a supervisor does."""

KINDS: Final = {
    SpanKind.PRODUCER: trace.SpanKind.PRODUCER,
    SpanKind.CONSUMER: trace.SpanKind.CONSUMER,
}


class _GivenIds(RandomIdGenerator):
    """Gives the ids of a span that others know already, and random ones to all others."""

    def __init__(self) -> None:
        self._given: ContextVar[TraceContext | None] = ContextVar("wundr_given_span", default=None)

    def give(self, own: TraceContext | None) -> None:
        """The next span of this task has these ids."""
        self._given.set(own)

    def generate_span_id(self) -> int:
        """See IdGenerator."""
        given = self._given.get()
        return super().generate_span_id() if given is None else int(given.span_id, 16)

    def generate_trace_id(self) -> int:
        """See IdGenerator."""
        given = self._given.get()
        return super().generate_trace_id() if given is None else int(given.trace_id, 16)


class OpenTelemetryTracer:
    """Implements Tracer. Close it to send what is left."""

    def __init__(self, service: str, processor: SpanProcessor) -> None:
        """`service`: the name of this process unless OTEL_SERVICE_NAME says another."""
        self._ids = _GivenIds()
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": service}),
            id_generator=self._ids,
            span_limits=SpanLimits(max_links=LINKS),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("wundr")

    def start(self, plan: SpanPlan) -> Span:
        """See Tracer."""
        self._ids.give(plan.own)
        try:
            span = self._tracer.start_span(
                plan.name,
                trace.set_span_in_context(_remote(plan.parent)),
                kind=KINDS[plan.kind],
                attributes=plan.attributes,
                links=[Link(_span_context(linked)) for linked in plan.links],
                start_time=None if plan.since_ms is None else plan.since_ms * 1_000_000,
            )
        finally:
            self._ids.give(None)
        return OpenTelemetrySpan(span)

    def current(self) -> TraceContext | None:
        """See Tracer."""
        found = trace.get_current_span().get_span_context()
        return _trace_context(found) if found.is_valid else None

    def close(self) -> None:
        """Send what is left. A collector that is away holds nobody up for longer than CLOSE_S."""
        ending = Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        ending.start()
        ending.join(CLOSE_S)


class OpenTelemetrySpan:
    """Implements Span."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    @property
    def context(self) -> TraceContext:
        """See Span."""
        return _trace_context(self._span.get_span_context())

    def inside(self) -> Context:
        """See Span."""
        variables = copy_context()
        variables.run(variables_of_opentelemetry.attach, trace.set_span_in_context(self._span))
        return variables

    def end(self, error: BaseException | None = None) -> None:
        """See Span."""
        if error is not None:
            self._span.record_exception(error)
            self._span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
        self._span.end()


def exporting_tracer(service: str) -> OpenTelemetryTracer:
    """A tracer that sends over OTLP (HTTP), where and how `OTEL_EXPORTER_OTLP_*` say."""
    return OpenTelemetryTracer(service, BatchSpanProcessor(OTLPSpanExporter()))


def _remote(parent: TraceContext | None) -> trace.Span:
    return trace.INVALID_SPAN if parent is None else NonRecordingSpan(_span_context(parent))


def _span_context(context: TraceContext) -> SpanContext:
    return SpanContext(
        trace_id=int(context.trace_id, 16),
        span_id=int(context.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED),
    )


def _trace_context(found: SpanContext) -> TraceContext:
    return TraceContext(trace.format_trace_id(found.trace_id), trace.format_span_id(found.span_id))
