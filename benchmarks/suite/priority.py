"""Whether CRITICAL overtakes a backlog of LOW, and what that costs LOW."""

from __future__ import annotations

import sys
from typing import Final

from benchmarks.bench import Bench, Stage
from benchmarks.contract import MODULUS, Measurement
from benchmarks.errors import ChecksumMismatch
from benchmarks.fresh import FreshRun, FreshTopics
from benchmarks.goals import Measured, at_least, at_most
from benchmarks.stamps import runs_stamp
from benchmarks.system import OURS, Environment, Stream, System
from benchmarks.workload import fill

RATE: Final = 100
"""CRITICAL events a second."""
LEAST_BACKLOG: Final = 300_000
SENDER: Final = (sys.executable, "-m", "benchmarks.systems.stamped_sender")


class Overtaking:
    """Implements Driver: every system reads the same backlog from its beginning."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._fresh = FreshTopics(stage)
        self._critical = runs_stamp(self._fresh.catalog)
        self._backlog = 0

    def prepare(self) -> None:
        """See Driver."""
        broker, say = self._fresh.broker, self._stage.say
        self._low = fill(broker, self._stage.folder, Stream.AVRO, say)
        self._backlog = self._low.index.supply.events
        if self._backlog < LEAST_BACKLOG:
            raise ValueError(f"a backlog of {self._backlog} is none")

    def run(self, system: System) -> Measurement:
        """See Driver."""
        self._fresh.empty(self._critical.topic)
        run = FreshRun(
            topic=self._low.topic,
            events=self._backlog,
            options={
                "rate": RATE,
                "critical_topic": self._critical.topic,
                "sender": list(SENDER),
            },
        )
        with self._fresh.cleared():
            measured = self._fresh.run(system, run)
        count = round(RATE * self._stage.seconds)
        if measured.checksum != sum(map(self._critical.adds, range(count))) % MODULUS:
            raise ChecksumMismatch(f"{system.name} has not handled each CRITICAL event once")
        return measured


BENCH = Bench(
    name="priority",
    question=f"CRITICAL at {RATE}/s against a backlog of LOW: how late, and at what cost to LOW?",
    unit="ms",
    metric="p99_ms_critical",
    systems=(
        System(
            name=OURS,
            module="benchmarks.systems.priority",
            environment=Environment.PROJECT,
            settings={"handlers": "one for CRITICAL, one for LOW, in one worker"},
        ),
        System(
            name="Faust",
            module="benchmarks.peers.priority_faust",
            settings={
                "agents": "one for CRITICAL, one for LOW, in one worker",
                "value": "fastavro",
            },
        ),
    ),
    goals=(
        at_most(
            50.0,
            f"CRITICAL at {RATE}/s beside LOW: p99 <= 50 ms",
            Measured(OURS, "p99_ms_critical"),
        ),
        at_least(
            0.7,
            "LOW beside CRITICAL >= 0.7 of its free rate",
            Measured(OURS, "low_beside_per_s"),
            Measured(OURS, "low_alone_per_s"),
        ),
    ),
    driver=Overtaking,
)
