"""Sends stamped events in open loop: `python -m benchmarks.systems.stamped_sender JSON`.

Neither platform nor peer: the bytes, the times and the client are the same for every system. It
prints one JSON line: how many it sent, and how far it ever fell behind its schedule.
"""

from __future__ import annotations

import json
import sys
import time
from functools import lru_cache
from typing import Any, Final

from confluent_kafka import Producer

from benchmarks.open_loop import NANOSECONDS, Schedule
from benchmarks.senders import wait_for_go
from benchmarks.stamps import Stamp, Stamped, repositories_stamp, runs_stamp
from schemas.catalog import Catalog
from streams.partitioner import partition_of

STAMPS: Final = {"repositories": repositories_stamp, "runs": runs_stamp}
PARTITIONS: Final = 4
LONGEST_SLEEP_S: Final = 0.05


def send(producer: Producer, stamp: Stamp, schedule: Schedule, given: dict[str, Any]) -> float:
    """Send every event when it is due; returns how late the latest left, in seconds."""
    latest_ns = sent = 0
    first, aggregates = given["first"], given["aggregates"]
    while sent < schedule.count:
        now = time.monotonic_ns()
        due = schedule.due_by(now)
        if due > sent:
            latest_ns = max(latest_ns, now - schedule.due_ns(sent))
        for number in range(sent, due):
            record = stamp.record(first + number, number % aggregates, schedule.due_ns(number))
            put(producer, stamp.topic, record)
        sent = max(sent, due)
        producer.poll(0)
        if sent < schedule.count:
            time.sleep(min(LONGEST_SLEEP_S, schedule.wait_s(sent, time.monotonic_ns())))
    return latest_ns / NANOSECONDS


@lru_cache(maxsize=4_096)
def partition_for(key: bytes) -> int:
    """The partition of a key; most keys come again."""
    return partition_of(key, PARTITIONS)


def put(producer: Producer, topic: str, record: Stamped) -> None:
    """Queue a record; waits while the queue is full."""
    partition = partition_for(record.key)
    while True:
        try:
            producer.produce(
                topic, record.value, record.key, partition, headers=list(record.headers)
            )
        except BufferError:
            producer.poll(0.01)
        else:
            return


def main() -> None:
    """Connect, send, report."""
    given: dict[str, Any] = json.loads(sys.argv[1])
    stamp = STAMPS[given["stamp"]](Catalog.load())
    refused: list[str] = []
    producer = Producer(
        {
            "bootstrap.servers": given["bootstrap"],
            "enable.idempotence": True,
            "compression.type": "lz4",
            "linger.ms": given["linger_ms"],
            "log_level": 0,
            "on_delivery": lambda error, _: refused.append(str(error)) if error else None,
        }
    )
    producer.list_topics(stamp.topic, timeout=30)
    wait_for_go()
    schedule = Schedule.starting_soon(given["rate"], given["count"])
    late_s = send(producer, stamp, schedule, given)
    missing = producer.flush(60)
    if missing or refused:
        raise SystemExit(f"{missing} records missing, refused: {refused[:3]}")
    sys.stdout.write(json.dumps({"sent": schedule.count, "late_s": late_s}) + "\n")


if __name__ == "__main__":
    main()
