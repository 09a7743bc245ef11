"""A tracer whose spans stay in the process, for tests to look at."""

from __future__ import annotations

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from infra.open_telemetry import OpenTelemetryTracer
from streams.tracing import Tracing


class Traces:
    """Spans that have ended."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.tracing = Tracing(OpenTelemetryTracer("tests", SimpleSpanProcessor(self._exporter)))

    def named(self, name: str) -> list[ReadableSpan]:
        """The spans of a name, in the order in which they ended."""
        return [span for span in self._exporter.get_finished_spans() if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        """The only span of a name."""
        (span,) = self.named(name)
        return span


def traceparent_of(span: ReadableSpan) -> str:
    """A span as the header of a record names it."""
    context = span.get_span_context()
    assert context is not None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-01"


def own_id(span: ReadableSpan) -> int:
    """The span's id."""
    context = span.get_span_context()
    assert context is not None
    return context.span_id


def parent_of(span: ReadableSpan) -> int | None:
    """The id of the span above; None for a root."""
    return None if span.parent is None else span.parent.span_id
