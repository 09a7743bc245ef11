"""Publishes typed events in open loop through our bus; the correlation id says when one was due."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import uvloop

from benchmarks.open_loop import NOT_DUE, Schedule, offer
from benchmarks.repositories import files_of, repository_id
from benchmarks.senders import wait_for_go
from benchmarks.systems.nothing_stored import NothingStored
from schemas.catalog import Catalog
from schemas.event import EventFactory
from schemas.events.integration import IntegrationRepositorySynced
from streams.bus.kafka import KafkaBus
from streams.settings import KafkaSettings


async def publish(given: dict[str, Any]) -> float:
    """Publish every event when it is due; returns how late the latest was begun, in seconds."""
    catalog = Catalog.load()
    factory = EventFactory(catalog, "latency-sender")
    settings = KafkaSettings(bootstrap=given["bootstrap"], linger_ms=given["linger_ms"])
    bus = KafkaBus("latency-sender", settings, catalog, NothingStored())

    async def publish_one(number: int, due_ns: int) -> None:
        number += given["first"]
        repository = repository_id(number % given["aggregates"])
        data = IntegrationRepositorySynced(
            repository=repository, project_id="project-0", files=files_of(number), bytes=number
        )
        await bus.publish(
            factory.create(data, aggregate_id=repository, correlation_id=f"{due_ns:019d}")
        )

    # Connects and announces the schema: a sender that runs for long has done so long ago.
    await publish_one(0, NOT_DUE)
    await asyncio.to_thread(wait_for_go)
    late_s = await offer(Schedule.starting_soon(given["rate"], given["count"]), publish_one)
    await bus.close()
    return late_s


def main() -> None:
    """Publish and report."""
    given: dict[str, Any] = json.loads(sys.argv[1])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        late_s = runner.run(publish(given))
    sys.stdout.write(json.dumps({"sent": given["count"], "late_s": late_s}) + "\n")


if __name__ == "__main__":
    main()
