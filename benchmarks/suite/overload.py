"""What becomes of a worker that is offered twice what it can bear, and afterwards."""

from __future__ import annotations

from typing import Final

from benchmarks.bench import Bench, Stage
from benchmarks.contract import Measurement
from benchmarks.fresh import FreshRun, FreshTopics, evenly
from benchmarks.goals import Measured, at_least, at_most
from benchmarks.stamps import repositories_stamp
from benchmarks.system import AGAIN, OURS, Environment, System

BACKLOG: Final = 300_000
"""Events that stand in the topic beforehand: the capacity is measured on them."""
AGGREGATES: Final = 1_000
OVERLOAD_S: Final = 180.0
WHOLE_SECONDS: Final = 5.0
"""The length of runs with which the overload lasts its three minutes."""
SHORTER_AGAIN: Final = 0.25
"""The run that shows the noise is a part of the first."""


class Overload:
    """Implements Driver."""

    def __init__(self, stage: Stage) -> None:
        self._fresh = FreshTopics(stage)
        self._stamp = repositories_stamp(self._fresh.catalog)
        self._share = stage.seconds / WHOLE_SECONDS

    def prepare(self) -> None:
        """See Driver."""

    def run(self, system: System) -> Measurement:
        """See Driver."""
        share = self._share * (SHORTER_AGAIN if system.name == AGAIN else 1.0)
        self._fresh.empty(self._stamp.topic)
        self._fresh.write(self._stamp, evenly(range(BACKLOG), AGGREGATES))
        run = FreshRun(
            topic=self._stamp.topic,
            events=BACKLOG,
            options={
                "aggregates": AGGREGATES,
                "capacity_s": max(2.0, 8.0 * self._share),
                "overload_s": OVERLOAD_S * share,
                "after_s": max(3.0, 15.0 * self._share),
            },
            longest_s=OVERLOAD_S * share + 120.0,
        )
        with self._fresh.cleared():
            return self._fresh.run(system, run)


BENCH = Bench(
    name="overload",
    question="Twice the capacity of a worker for three minutes: memory, stalls, and afterwards?",
    systems=(
        System(
            name=OURS,
            module="benchmarks.systems.overload",
            environment=Environment.PROJECT,
            settings={
                "handler": "CRC of 256 KiB for each event, so the worker is the narrow place",
                "sender": "a process of its own, open loop",
            },
        ),
    ),
    goals=(
        at_most(
            1.25,
            "resident memory is bounded: last minute <= 1.25 x first minute",
            Measured(OURS, "rss_mib_last_third"),
            Measured(OURS, "rss_mib_first_third"),
        ),
        at_most(1.0, "no stall over 1 s", Measured(OURS, "longest_stall_s")),
        at_least(
            0.8,
            "lag falls afterwards, at >= 0.8 x capacity",
            Measured(OURS, "drained_per_s"),
            Measured(OURS, "capacity_per_s"),
        ),
    ),
    driver=Overload,
)
