"""Encodes with fastavro and sends with aiokafka in open loop."""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from io import BytesIO
from pathlib import Path
from typing import Any

import uvloop
from aiokafka import AIOKafkaProducer
from fastavro import parse_schema, schemaless_writer

from benchmarks.open_loop import NOT_DUE, Schedule, offer
from benchmarks.repositories import EVENT_TYPE, files_of, repository_id
from benchmarks.senders import wait_for_go


def schema_of(schemas: dict[str, str]) -> tuple[bytes, Any]:
    """The frame and the parsed schema of the type that is sent."""
    for schema_id, file in schemas.items():
        if Path(file).parent.name == EVENT_TYPE:
            frame = b"\x00" + int(schema_id).to_bytes(4, "big")
            return frame, parse_schema(json.loads(Path(file).read_text()))
    raise LookupError(EVENT_TYPE)


def event_of(number: int, repository: str, due_ns: int) -> dict[str, Any]:
    """The event as fastavro takes it."""
    return {
        "id": str(uuid.uuid4()),
        "type": EVENT_TYPE,
        "category": "integration",
        "priority": "NORMAL",
        "version": "1.0.0",
        "timestamp": int(time.time() * 1_000),
        "source": "latency-sender",
        "correlationId": f"{due_ns:019d}",
        "causationId": None,
        "aggregate": {"type": "Repository", "id": repository, "version": None},
        "metadata": {"userId": None, "traceId": None, "retryCount": None, "extra": {}},
        "data": {
            "repository": repository,
            "projectId": "project-0",
            "files": files_of(number),
            "bytes": number,
        },
    }


async def publish(given: dict[str, Any]) -> float:
    """Send every event when it is due; returns how late the latest was begun, in seconds."""
    frame, schema = schema_of(given["schemas"])
    producer = AIOKafkaProducer(
        bootstrap_servers=given["bootstrap"],
        acks="all",
        enable_idempotence=True,
        compression_type="lz4",
        linger_ms=given["linger_ms"],
        max_batch_size=128 * 1024,
    )
    await producer.start()
    receipts = []

    async def send(number: int, due_ns: int) -> None:
        number += given["first"]
        repository = repository_id(number % given["aggregates"])
        body = BytesIO()
        body.write(frame)
        schemaless_writer(body, schema, event_of(number, repository, due_ns))
        key = f"Repository/{repository}".encode()
        receipts.append(await producer.send(given["topic"], body.getvalue(), key))

    await send(0, NOT_DUE)
    await asyncio.to_thread(wait_for_go)
    late_s = await offer(Schedule.starting_soon(given["rate"], given["count"]), send)
    await producer.stop()
    await asyncio.gather(*receipts)
    return late_s


def main() -> None:
    """Send and report."""
    given: dict[str, Any] = json.loads(sys.argv[1])
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        late_s = runner.run(publish(given))
    sys.stdout.write(json.dumps({"sent": given["count"], "late_s": late_s}) + "\n")


if __name__ == "__main__":
    main()
