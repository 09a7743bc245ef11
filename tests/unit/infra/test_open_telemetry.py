"""Spans hang together from publish through handlers, and agree with the header of the record."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Sequence
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from infra.open_telemetry import OpenTelemetryTracer
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event, EventFactory, Metadata
from schemas.events.plugin import PluginMetricRecorded
from schemas.headers import TraceContext, traceparent
from streams.app import App
from streams.bus.log_bus import BusOptions
from streams.bus.memory import MemoryBus
from streams.context import BatchContext, Context, Emitter
from streams.memory.log import MemoryLog, MemorySender
from streams.memory.sagas import MemorySagaStore
from streams.retry import RetrySchedule
from streams.runtime.worker import complete
from streams.sagas.running import SagaRunning
from streams.traced import in_trace, traced_sender, traced_workload
from streams.tracing import EmittedFrom
from tests.unit.infra.kept_traces import Traces, own_id, parent_of, traceparent_of
from tests.unit.streams.silent_saga import SilentSaga

CATALOG = Catalog.load()
FACTORY = EventFactory(CATALOG, source="tests")
EMITTER = Emitter("app", "handler", FACTORY)


@pytest.fixture
def traces() -> Traces:
    return Traces()


def metric(**details: Any) -> Event[PluginMetricRecorded]:
    data = PluginMetricRecorded(plugin="p", metric="m", value=1.0, project_id=None)
    return FACTORY.create(data, **details)


async def test_a_handler_is_the_child_of_the_publish_and_what_it_emits_its_own(
    traces: Traces,
) -> None:
    bus = bus_with(traces)
    done = asyncio.Event()

    async def emit(event: Event[PluginMetricRecorded], context: Context) -> None:
        if event.causation_id is None:
            await asyncio.sleep(0)
            await context.publish(event.data)
        else:
            done.set()

    await bus.subscribe("plugin.metric.recorded", emit)
    event = metric()
    await (await bus.publish(event))
    await asyncio.wait_for(done.wait(), 10)
    await bus.close()

    root, emitted = traces.named("publish plugin.metric.recorded")
    first, second = traces.named("handle emit")
    assert root.parent is None
    assert parent_of(first) == own_id(root)
    assert parent_of(emitted) == own_id(first)
    assert parent_of(second) == own_id(emitted)
    trace_ids = {traceparent_of(span).split("-")[1] for span in (root, emitted, first, second)}
    assert len(trace_ids) == 1


async def test_the_span_of_a_publish_is_the_one_that_the_header_names(traces: Traces) -> None:
    bus = bus_with(traces)
    event = metric()
    await (await bus.publish(event))
    await bus.close()
    assert traceparent_of(traces.one("publish plugin.metric.recorded")) == traceparent(event)


async def test_metadata_names_the_trace_that_the_caller_is_in(traces: Traces) -> None:
    log = MemoryLog()
    bus = bus_with(traces, log)
    caller = trace.NonRecordingSpan(
        trace.SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=trace.TraceFlags(1))
    )
    with trace.use_span(caller):
        await (await bus.publish(metric()))
    await bus.close()
    span = traces.one("publish plugin.metric.recorded")
    assert traceparent_of(span).split("-")[1] == f"{0xABC:032x}"
    assert parent_of(span) == 0xDEF
    (stored,) = stored_events(log)
    assert stored.metadata.trace_id == f"{0xABC:032x}"
    assert traceparent(stored) == traceparent_of(span)


async def test_a_trace_of_its_own_is_kept_and_the_callers_is_linked(traces: Traces) -> None:
    bus = bus_with(traces)
    own = "0123456789abcdef0123456789abcdef"
    caller = trace.NonRecordingSpan(
        trace.SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=trace.TraceFlags(1))
    )
    with trace.use_span(caller):
        await (await bus.publish(metric(metadata=Metadata(trace_id=own))))
    await bus.close()
    span = traces.one("publish plugin.metric.recorded")
    assert traceparent_of(span).split("-")[1] == own
    assert span.parent is None
    assert [link.context.span_id for link in span.links] == [0xDEF]


async def test_each_try_of_a_handler_has_a_span_and_a_failed_one_says_why(traces: Traces) -> None:
    bus = bus_with(traces)
    tries = 0
    done = asyncio.Event()

    async def fail_once(event: Event[PluginMetricRecorded], context: Context) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise RuntimeError("not yet")
        done.set()

    await bus.subscribe("plugin.metric.recorded", fail_once)
    await (await bus.publish(metric()))
    await asyncio.wait_for(done.wait(), 10)
    await bus.close()
    failed, succeeded = traces.named("handle fail_once")
    assert failed.status.description == "RuntimeError: not yet"
    assert succeeded.status.is_ok


async def test_a_span_inside_of_a_handler_is_its_child_and_stays_inside(traces: Traces) -> None:
    seen: list[int] = []

    async def look(event: Event[PluginMetricRecorded], context: Context) -> None:
        seen.append(trace.get_current_span().get_span_context().span_id)
        await asyncio.sleep(0.001)
        seen.append(trace.get_current_span().get_span_context().span_id)

    app = App("looking")
    app.on("plugin.metric.recorded")(look)
    (handler,) = traced_workload(app.workload(), traces.tracing).handlers
    await asyncio.create_task(_run(handler.function(metric(), Context(metric(), EMITTER))))
    assert seen == [own_id(traces.one("handle look"))] * 2
    assert not trace.get_current_span().get_span_context().is_valid


async def test_a_batch_is_one_span_with_a_link_to_each_event(traces: Traces) -> None:
    async def take(events: Sequence[Event[Any]], context: BatchContext) -> None:
        await context.publish(events[1].data, cause=events[1])

    app = App("batches")
    app.on("plugin.metric.recorded", batch=True)(take)
    (handler,) = traced_workload(app.workload(), traces.tracing).batch_handlers
    events = [metric(), metric()]
    contexts = {event.id: Context(event, EMITTER) for event in events}
    await handler.function(events, BatchContext(contexts))
    span = traces.one("handle take")
    assert [f"{link.context.span_id:016x}" for link in span.links] == [
        traceparent(event).split("-")[2] for event in events
    ]
    (emitted,) = contexts[events[1].id].emitted
    from_span = traces.tracing.emitted_from.forget(emitted.id)
    assert from_span is not None
    assert int(from_span.span_id, 16) == own_id(span)


async def test_a_step_of_a_saga_has_a_span_as_any_handler_has(traces: Traces) -> None:
    app, log = App("team"), MemoryLog()
    app.add_saga(SilentSaga("setup", PluginMetricRecorded))
    sagas = SagaRunning("team", CATALOG, MemorySagaStore(log, CATALOG, Codec(CATALOG)))
    (workload,) = complete([app.workload("saga-setup")], sagas, traces.tracing)
    (handler,) = workload.handlers
    event = metric()
    await asyncio.create_task(_run(handler.function(event, Context(event, EMITTER))))
    assert traces.one("handle saga-setup").status.is_ok


def test_without_tracing_nothing_is_wrapped() -> None:
    app = App("plain")
    workload, sender = app.workload(), MemorySender(MemoryLog())
    assert traced_workload(workload, None) is workload
    assert traced_sender(sender, None) is sender
    assert in_trace(event := metric(), None) is event


def test_a_collector_that_is_away_does_not_hold_up_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("infra.open_telemetry.CLOSE_S", 0.05)
    stuck = threading.Event()

    class Away(SimpleSpanProcessor):
        def shutdown(self) -> None:
            stuck.wait()

    tracer = OpenTelemetryTracer("tests", Away(InMemorySpanExporter()))
    began = time.monotonic()
    tracer.close()
    waited_s = time.monotonic() - began
    stuck.set()
    assert waited_s < 5


def test_what_is_never_sent_is_forgotten_in_time() -> None:
    emitted = EmittedFrom(limit=2)
    emitted.remember(["a", "b", "c"], TraceContext("1" * 32, "2" * 16))
    assert emitted.forget("a") is None
    assert emitted.forget("c") is not None


def bus_with(traces: Traces, log: MemoryLog | None = None) -> MemoryBus:
    options = BusOptions(schedule=RetrySchedule(first_delay_s=0.001), tracing=traces.tracing)
    return MemoryBus("traced", log or MemoryLog(), CATALOG, options=options)


def stored_events(log: MemoryLog) -> list[Event[Any]]:
    codec = Codec(CATALOG)
    topic = metric().topic
    return [
        codec.view(record.value or b"")
        for source in log.partitions(topic)
        for record in log.records(source)
    ]


async def _run(work: Awaitable[None]) -> None:
    await work
