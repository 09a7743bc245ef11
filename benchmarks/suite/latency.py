"""How long an event takes from when it should be sent to its handler, at rates set beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from benchmarks.bench import Bench, Stage
from benchmarks.contract import MODULUS, Measurement, event_sum
from benchmarks.errors import ChecksumMismatch
from benchmarks.fresh import FreshRun, FreshTopics, evenly
from benchmarks.goals import Measured, at_most
from benchmarks.latency_run import WARM_UP_S
from benchmarks.repositories import EVENT_TYPE, files_of, repository_id
from benchmarks.stamps import repositories_stamp
from benchmarks.system import OURS, Environment, System

RATES: Final = (1_000, 10_000, 30_000)
AGGREGATES: Final = 1_000
BEFOREHAND: Final = 400
"""Events that stand in the topic before a run: who has read them is ready."""
PIPE: Final = "raw aiokafka pipe"
OPTIONS: Final[Mapping[str, Any]] = {
    "rates": list(RATES),
    "aggregates": AGGREGATES,
    "linger_ms": 0,
}


class OpenLoop:
    """Implements Driver: every system is offered the same rates on a topic of its own."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._fresh = FreshTopics(stage)
        self._stamp = repositories_stamp(self._fresh.catalog)

    def prepare(self) -> None:
        """See Driver."""

    def run(self, system: System) -> Measurement:
        """See Driver."""
        self._fresh.empty(self._stamp.topic)
        self._fresh.write(self._stamp, evenly(range(BEFOREHAND), AGGREGATES))
        run = FreshRun(topic=self._stamp.topic, warm_up=BEFOREHAND)
        with self._fresh.cleared():
            measured = self._fresh.run(system, run)
        if measured.checksum != self._expected():
            raise ChecksumMismatch(f"{system.name} has not handled each event once")
        return measured

    def _expected(self) -> int:
        counts = [round(rate * (WARM_UP_S + self._stage.seconds)) for rate in RATES]
        connecting = [sum(counts[:number]) for number in range(len(counts))]
        numbers = (*range(BEFOREHAND), *connecting, *range(sum(counts)))
        total = sum(
            event_sum(EVENT_TYPE, repository_id(number % AGGREGATES), files_of(number))
            for number in numbers
        )
        return total % MODULUS


BENCH = Bench(
    name="latency",
    question="How long from when an event should be published to its handler, at a set rate?",
    unit="ms",
    metric="p99_ms_at_10000",
    systems=(
        System(
            name=OURS,
            module="benchmarks.systems.latency",
            environment=Environment.PROJECT,
            options=OPTIONS,
            settings={
                "producer process": "bus.publish of a typed event, linger 0",
                "consumer process": "app worker, one handler",
                "event loop": "uvloop",
            },
        ),
        System(
            name=PIPE,
            module="benchmarks.peers.latency_aiokafka",
            options=OPTIONS,
            settings={
                "producer process": "fastavro, send() with acks=all, idempotent, lz4, linger 0",
                "consumer process": "getmany and fastavro",
                "event loop": "uvloop",
            },
        ),
    ),
    goals=tuple(
        at_most(
            1.5,
            f"p99 <= 1.5 x a raw aiokafka pipe at {rate:,} events/s",
            Measured(OURS, f"p99_ms_at_{rate}"),
            Measured(PIPE, f"p99_ms_at_{rate}"),
        )
        for rate in RATES
    ),
    driver=OpenLoop,
)
