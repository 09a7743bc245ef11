"""One trace over a real broker: publish, handler, and what the handler publishes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from infra.topics import apply, plan
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event, EventFactory
from schemas.events.plugin import PluginMetricRecorded
from schemas.topics import platform_topics
from streams.app import App
from streams.context import Context
from streams.kafka.schema_topic import KafkaWriterSchemas
from streams.kafka.sender import KafkaSender
from streams.publisher import EventPublisher
from streams.runtime.running import WorkerSettings
from streams.runtime.worker import run_app_worker
from streams.settings import KafkaSettings
from streams.traced import in_trace, traced_sender
from tests.integration.runtime.conftest import until
from tests.integration.runtime.team import PARTITIONS
from tests.unit.infra.kept_traces import Traces, own_id, parent_of

pytestmark = pytest.mark.kafka

CATALOG = Catalog.load()


async def test_a_worker_continues_the_trace_of_what_it_handles(
    kafka: KafkaSettings, unique: str, tmp_path: Path
) -> None:
    app, handled = App(unique), asyncio.Event()

    @app.on("plugin.metric.recorded", can_handle=lambda event: event.data.plugin == unique)
    async def repeat(event: Event[PluginMetricRecorded], context: Context) -> None:
        if event.causation_id is None:
            await context.publish(replace(event.data, metric="repeated"))
        else:
            handled.set()

    specs = [*platform_topics(CATALOG, PARTITIONS), *app.topic_specs(PARTITIONS)]
    await asyncio.to_thread(lambda: apply(kafka.bootstrap, plan(kafka.bootstrap, specs)))
    producer, worker = Traces(), Traces()
    stop = asyncio.Event()
    settings = WorkerSettings(kafka=kafka, data_dir=tmp_path, tracing=worker.tracing)
    running = asyncio.create_task(run_app_worker(app, settings, stop))
    await publish(kafka, unique, producer)
    await asyncio.wait_for(handled.wait(), 60)
    await until(lambda: len(worker.named("handle repeat")) == 2, "both handlers have ended")
    stop.set()
    await running

    root = producer.one("publish plugin.metric.recorded")
    emitted = worker.one("publish plugin.metric.recorded")
    first, second = worker.named("handle repeat")
    assert parent_of(first) == own_id(root)
    assert parent_of(emitted) == own_id(first)
    assert parent_of(second) == own_id(emitted)


async def publish(kafka: KafkaSettings, plugin: str, traces: Traces) -> None:
    """Publish one event as a process of its own would."""
    codec = Codec(CATALOG)
    sender = KafkaSender(kafka)
    schemas = KafkaWriterSchemas(kafka, sender, codec)
    data = PluginMetricRecorded(plugin=plugin, metric="first", value=1.0, project_id=None)
    event = in_trace(EventFactory(CATALOG, plugin).create(data), traces.tracing)
    publisher = EventPublisher(CATALOG, codec, traced_sender(sender, traces.tracing), schemas)
    await (await publisher.publish(event))
    await schemas.close()
    await sender.close()
