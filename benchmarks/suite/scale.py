"""What more keys and more processes do to the cost of an event."""

from __future__ import annotations

from typing import Any, Final

from benchmarks.bench import Bench, Stage
from benchmarks.broker import NewRecord
from benchmarks.contract import Measurement
from benchmarks.fresh import FreshRun, FreshTopics
from benchmarks.goals import CPU_RATE, Measured, at_least, at_most
from benchmarks.sections import Section, begin_of, events_of
from benchmarks.stamps import repositories_stamp
from benchmarks.system import OURS, Environment, System
from benchmarks.workload import PARTITIONS

EVENTS: Final = {10: 1_300_000, 1_000: 2_800_000, 100_000: 1_100_000, 1_000_000: 1_300_000}
"""Events by the number of aggregates; two processes read the second."""
USUAL: Final = 1_000
WHOLE_SECONDS: Final = 5.0
TWO: Final = "2 processes"
FEW: Final = "10 aggregates"
SOME: Final = "100,000 aggregates"
MANY: Final = "1,000,000 aggregates"
FEW_HANDLED: Final = "handler, 10 aggregates"
MANY_HANDLED: Final = "handler, 1,000,000 aggregates"


class Sections:
    """Implements Driver: one topic has a section for each number of aggregates."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._fresh = FreshTopics(stage)
        self._stamp = repositories_stamp(self._fresh.catalog)
        share = min(1.0, stage.seconds / WHOLE_SECONDS)
        self._sections = [
            Section(aggregates=count, events=round(events * share / PARTITIONS) * PARTITIONS)
            for count, events in EVENTS.items()
        ]

    def prepare(self) -> None:
        """See Driver."""
        self._fresh.empty(self._stamp.topic)
        first = 0
        with self._fresh.broker.writer(self._stamp.topic) as writer:
            for section in self._sections:
                self._stage.say(
                    f"writing {section.events:,} events of {section.aggregates:,} aggregates"
                )
                for number, aggregate, partition in events_of(section, first, PARTITIONS):
                    key, value, headers = self._stamp.record(number, aggregate)
                    writer.write(NewRecord(partition, key, value, tuple(headers)))
                first += section.events

    def run(self, system: System) -> Measurement:
        """See Driver."""
        counts = [section.aggregates for section in self._sections]
        index = counts.index(system.options["aggregates"])
        group = self._fresh.new_group(system)
        group = group if group.endswith(".main") else f"{group}.main"
        starts = begin_of(self._sections, index, PARTITIONS)
        self._fresh.broker.place_group(group, self._stamp.topic, starts)
        run = FreshRun(topic=self._stamp.topic, group=group, events=self._sections[index].events)
        with self._fresh.cleared():
            return self._fresh.run(system, run)


def _system(name: str, aggregates: int, mode: str = "projection", processes: int = 1) -> System:
    options: dict[str, Any] = {"aggregates": aggregates, "mode": mode, "processes": processes}
    return System(
        name=name,
        module="benchmarks.systems.scale",
        environment=Environment.PROJECT,
        options=options,
        settings=options,
    )


BENCH = Bench(
    name="scale",
    question="What do more keys and more worker processes do to the cost of an event?",
    systems=(
        _system(OURS, USUAL),
        _system(TWO, USUAL, processes=2),
        _system(FEW, 10),
        _system(SOME, 100_000),
        _system(MANY, 1_000_000),
        _system(FEW_HANDLED, 10, "handler"),
        _system(MANY_HANDLED, 1_000_000, "handler"),
    ),
    goals=(
        at_most(
            1.25,
            "handler: CPU per event, 1,000,000 aggregates <= 1.25 x 10",
            Measured(FEW_HANDLED, CPU_RATE),
            Measured(MANY_HANDLED, CPU_RATE),
        ),
        at_most(
            1.25,
            "projection: CPU per event, 1,000,000 aggregates <= 1.25 x 10",
            Measured(FEW, CPU_RATE),
            Measured(MANY, CPU_RATE),
        ),
        at_least(
            0.85,
            "2 processes: events per CPU-second >= 0.85 x 1 process",
            Measured(TWO, CPU_RATE),
            Measured(OURS, CPU_RATE),
        ),
        at_least(1.5, "2 processes: events/s >= 1.5 x 1 process", Measured(TWO), Measured(OURS)),
    ),
    driver=Sections,
)
