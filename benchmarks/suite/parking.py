"""What failing events cost: to park and redrive them, and what the others feel of them."""

from __future__ import annotations

from typing import Final

from benchmarks.bench import Bench, Stage
from benchmarks.contract import Measurement
from benchmarks.fresh import FreshRun, FreshTopics, evenly
from benchmarks.goals import Measured, at_least, at_most
from benchmarks.stamps import repositories_stamp
from benchmarks.system import AGAIN, OURS, Environment, System

PARKED_AGGREGATES: Final = 10_000
EVENTS_EACH: Final = 5
RATE: Final = 2_000
AGGREGATES: Final = 1_000
POISONED: Final = 5
BESIDE_POISON: Final = f"{POISONED} of {AGGREGATES:,} aggregates poisoned"
NOTHING_FAILS: Final = "no aggregate poisoned"


class Failing:
    """Implements Driver: one system parks everything, the others handle what is sent to them."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._fresh = FreshTopics(stage)
        self._stamp = repositories_stamp(self._fresh.catalog)

    def prepare(self) -> None:
        """See Driver."""

    def run(self, system: System) -> Measurement:
        """See Driver."""
        self._fresh.empty(self._stamp.topic)
        events = 0
        if system.name in (OURS, AGAIN):
            events = PARKED_AGGREGATES * EVENTS_EACH
            self._fresh.write(self._stamp, evenly(range(events), PARKED_AGGREGATES))
        run = FreshRun(
            topic=self._stamp.topic,
            events=events,
            options={"rate": RATE, "aggregates": AGGREGATES, "parked": PARKED_AGGREGATES},
        )
        with self._fresh.cleared():
            return self._fresh.run(system, run)


def _beside(name: str, poisoned: int) -> System:
    return System(
        name=name,
        module="benchmarks.systems.poison",
        environment=Environment.PROJECT,
        options={"poisoned": poisoned},
        settings={"load": f"{RATE:,} events/s in open loop", "tries": 3},
    )


BENCH = Bench(
    name="parking",
    question="What do failing events cost, and what do the others feel of them?",
    systems=(
        System(
            name=OURS,
            module="benchmarks.systems.parking",
            environment=Environment.PROJECT,
            settings={
                "parked": f"{PARKED_AGGREGATES:,} aggregates of {EVENTS_EACH} events each",
                "redriven": "one order for each, all at once",
            },
        ),
        _beside(BESIDE_POISON, POISONED),
        _beside(NOTHING_FAILS, 0),
    ),
    goals=(
        at_least(5_000, "park >= 5000 events/s", Measured(OURS, "parked_per_s")),
        at_least(5_000, "redrive >= 5000 events/s", Measured(OURS, "redriven_per_s")),
        at_most(
            100.0,
            f"{PARKED_AGGREGATES:,} parked aggregates <= 100 MiB",
            Measured(OURS, "parked_mib"),
        ),
        at_most(
            2.0,
            f"{BESIDE_POISON}: p99 of the others < 2 x of none poisoned",
            Measured(BESIDE_POISON, "p99_ms"),
            Measured(NOTHING_FAILS, "p99_ms"),
        ),
    ),
    driver=Failing,
)
