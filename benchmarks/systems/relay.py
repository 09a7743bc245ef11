"""Our appender at a set rate, the relay as a process beside it: how late events reach Kafka."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import uvloop

from benchmarks.accounts import CATALOG, CODEC, credited
from benchmarks.append_run import ACCOUNTS
from benchmarks.contract import Measurement, RunConfig, peak_memory
from benchmarks.open_loop import Latencies, Schedule, offer
from connectors.postgres.database import Database
from connectors.postgres.event_appender import PostgresEventAppender
from connectors.postgres.migrations import migrate
from connectors.settings import PostgresSettings
from schemas.headers import CE_ID
from streams.expectation import ANY_VERSION, ExpectedVersion
from streams.kafka.reader import KafkaReader
from streams.records import first_header
from streams.settings import KafkaSettings

POOL = 8
WARM_UP_S = 1.0
"""Appended at the same rate before the time is taken."""


class Lags:
    """When each event was committed, and when it was read from Kafka; monotonic nanoseconds."""

    def __init__(self) -> None:
        self.committed: dict[str, int] = {}
        self.arrived: dict[str, int] = {}

    async def read(self, reader: KafkaReader) -> None:
        """Note arrivals until cancelled."""
        while True:
            for records in (await reader.read(timeout_s=0.2)).values():
                now = time.monotonic_ns()
                for record in records:
                    event_id = first_header(record.headers, CE_ID) or b""
                    self.arrived.setdefault(event_id.decode(), now)

    async def complete(self) -> None:
        """Return when everything that was committed has arrived."""
        while len(self.arrived) < len(self.committed):  # noqa: ASYNC110  # noted by another task
            await asyncio.sleep(0.01)

    def latencies(self, after_ns: int) -> Latencies:
        """From commit to arrival, of what was committed after a moment."""
        return Latencies.of(
            [
                max(0, self.arrived[event_id] - committed) / 1e6
                for event_id, committed in self.committed.items()
                if committed >= after_ns
            ]
        )


async def measure(config: RunConfig) -> Measurement:
    """Append at the rate, and wait until all has arrived."""
    settings = PostgresSettings(dsn=config.options["dsn"], pool_size=POOL)
    await migrate(settings)
    lags, rate = Lags(), float(config.options["rate"])
    reader = KafkaReader(KafkaSettings(bootstrap=config.bootstrap), (config.topic,))
    await reader.start()
    for source, offset in (await reader.beginning()).items():
        reader.seek(source, offset)
    async with Database(settings) as database, relay(config):
        reading = asyncio.create_task(lags.read(reader))
        appender = PostgresEventAppender(database, CATALOG, CODEC)
        # The relay is there, and has announced the schema.
        first = await appender.append([credited("first", 1)], ANY_VERSION)
        lags.committed[first.events[0].id] = time.monotonic_ns()
        await lags.complete()
        schedule = Schedule.starting_soon(rate, round(rate * (WARM_UP_S + config.seconds)))
        began, cpu_began = time.perf_counter(), time.process_time()
        late_s = await appended(appender, schedule, lags)
        seconds = time.perf_counter() - began
        await lags.complete()
        cpu_seconds = time.process_time() - cpu_began
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
    await reader.close()
    latencies = lags.latencies(schedule.due_ns(round(rate * WARM_UP_S)))
    return Measurement(
        events=schedule.count,
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        checksum=0,
        rss_bytes=peak_memory(),
        metrics={
            **{f"lag_{name}": value for name, value in latencies.metrics("").items()},
            "appends_per_s": schedule.count / seconds,
            "late_ms": late_s * 1_000,
            "stored": len(lags.committed),
        },
    )


async def appended(appender: PostgresEventAppender, schedule: Schedule, lags: Lags) -> float:
    """Append one event to the next account whenever one is due; how late the latest was begun."""
    turns = [asyncio.Lock() for _ in range(ACCOUNTS)]
    versions = [0] * ACCOUNTS
    running: set[asyncio.Task[None]] = set()
    numbers = count()

    async def append() -> None:
        at = next(numbers) % ACCOUNTS
        async with turns[at]:
            expected = ExpectedVersion.exact(versions[at])
            done = await appender.append([credited(f"account-{at}", 1)], expected)
            versions[at] = done.version
            lags.committed[done.events[0].id] = time.monotonic_ns()

    async def send(_number: int, _due_ns: int) -> None:
        task = asyncio.create_task(append())
        running.add(task)
        task.add_done_callback(running.discard)

    late_s = await offer(schedule, send)
    await asyncio.gather(*running)
    return late_s


@asynccontextmanager
async def relay(config: RunConfig) -> AsyncIterator[Process]:
    """`wundr relay` as in production."""
    environment = {
        **os.environ,
        "WUNDR_KAFKA_BOOTSTRAP": config.bootstrap,
        "WUNDR_POSTGRES_DSN": config.options["dsn"],
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "infra", "relay", env=environment
    )
    try:
        yield process
    finally:
        process.terminate()
        await process.wait()


def main() -> None:
    """Measure and print."""
    config = RunConfig.from_arguments()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(measure(config)).print()


if __name__ == "__main__":
    main()
