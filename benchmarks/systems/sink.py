"""Our sink, from the topic to the tables with their positions and offsets."""

from __future__ import annotations

import asyncio
import time

import uvloop

from benchmarks.contract import Measurement, RunConfig, peak_memory
from connectors.settings import PostgresSettings, SinkSettings
from connectors.sink_service import SinkPlan, store_sink
from connectors.store_sink import StoreSink
from infra.topics import topic_ids
from schemas.catalog import Catalog
from schemas.topics import STORE_EVENTS
from streams.runtime.collecting import collect_garbage_less_often
from streams.settings import KafkaSettings

LOOK_S = 0.02


async def sink(config: RunConfig) -> Measurement:
    """Measure from the warm-up until the time is over, or all is stored."""
    plan = SinkPlan(
        kafka=KafkaSettings(bootstrap=config.bootstrap),
        postgres=PostgresSettings(dsn=config.options["dsn"]),
        topic_id=topic_ids(config.bootstrap, [STORE_EVENTS])[STORE_EVENTS],
        catalog=Catalog.load(),
        sink=SinkSettings(group=config.group, stores_json=config.options["json"]),
    )
    collect_garbage_less_often()
    stop = asyncio.Event()
    async with store_sink(plan) as running:
        work = asyncio.create_task(running.run(stop))
        await _stored(running, work, config.warm_up, float("inf"))
        began, cpu, first = time.perf_counter(), time.process_time(), running.status.stored
        await _stored(running, work, config.events, began + config.seconds)
        seconds, last = time.perf_counter() - began, running.status.stored
        cpu_seconds = time.process_time() - cpu
        stop.set()
        await work
    return Measurement(
        events=last - first,
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        checksum=0,
        rss_bytes=peak_memory(),
        metrics={"stored": float(running.status.stored)},
    )


async def _stored(
    running: StoreSink, work: asyncio.Task[None], events: int, deadline: float
) -> None:
    """Return when so many are stored, or at the deadline. Raises what the sink raises."""
    while running.status.stored < events and time.perf_counter() < deadline:
        if work.done():
            work.result()
        await asyncio.sleep(LOOK_S)


def main() -> None:
    """Measure and print."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(sink(RunConfig.from_arguments())).print()


if __name__ == "__main__":
    main()
