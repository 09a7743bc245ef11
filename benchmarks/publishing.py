"""Runs that write events to an empty topic; it must hold every one of them afterwards."""

from __future__ import annotations

from typing import Final

from benchmarks.bench import Stage
from benchmarks.broker import Broker
from benchmarks.contract import MODULUS, Measurement, RunConfig, event_sum
from benchmarks.errors import ChecksumMismatch
from benchmarks.rounds import Size, Supply
from benchmarks.samples import Producers, number_of, published_events
from benchmarks.sizing import Sizing
from benchmarks.system import System
from benchmarks.workload import PARTITIONS
from schemas.catalog import Catalog
from schemas.topics import platform_topics

DIFFERENT: Final = 10_000
"""Programs publish so many different events, then the same again."""

SUPPLY: Final = Supply(events=20_000_000, step=1_000)


class Publishing:
    """Implements Driver."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._broker = Broker(stage.bootstrap)
        self._sizing = Sizing(stage.seconds, stage.say)
        catalog = Catalog.load()
        self._specs = platform_topics(catalog, PARTITIONS)
        events = published_events(Producers(catalog), DIFFERENT)
        self._topic = events[0].topic
        self._sums = [
            event_sum(
                event.type,
                event.aggregate.id if event.aggregate else "",
                number_of(event.type, event.payload),
            )
            for event in events
        ]

    def prepare(self) -> None:
        """See Driver."""
        self._broker.make(self._specs)

    def run(self, system: System) -> Measurement:
        """See Driver."""
        return self._sizing.measure(system, SUPPLY, lambda size: self._once(system, size))

    def _once(self, system: System, size: Size) -> Measurement:
        self._broker.remove([self._topic])
        self._broker.make(self._specs)
        with self._stage.run_folder() as folder:
            config = RunConfig(
                folder=str(folder),
                bootstrap=self._stage.bootstrap,
                topic=self._topic,
                events=size.events,
                warm_up=size.warm_up,
                seconds=self._stage.seconds,
                options=system.options,
            )
            measured = self._stage.launcher.run(system, config)
        written = sum(last for _, last in self._broker.bounds(self._topic, PARTITIONS))
        if (written, measured.checksum) != (size.events, self._checksum(size.events)):
            raise ChecksumMismatch(
                f"{system.name} was to publish {size.events} events, {written} were written"
            )
        return measured

    def _checksum(self, events: int) -> int:
        rounds, rest = divmod(events, DIFFERENT)
        return (rounds * sum(self._sums) + sum(self._sums[:rest])) % MODULUS
