"""Runs on topics of their own: made before a run, filled where needed, gone after it."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks.bench import Stage
from benchmarks.broker import Broker, NewRecord
from benchmarks.contract import Measurement, RunConfig
from benchmarks.drain import group_of
from benchmarks.samples import schema_files
from benchmarks.stamps import Stamp
from benchmarks.system import System
from benchmarks.workload import AVRO_TOPIC, JSON_TOPIC, PARTITIONS
from schemas.catalog import Catalog
from schemas.topics import platform_topics
from streams.partitioner import partition_of


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshRun:
    """One run: what it reads, and for how long it may go on."""

    topic: str = ""
    group: str = ""
    events: int = 0
    warm_up: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    longest_s: float = 150.0


class FreshTopics:
    """The broker of a bench whose runs share no topic, but for the ones that are `kept`."""

    def __init__(self, stage: Stage, kept: Iterable[str] = ()) -> None:
        self._stage = stage
        self._catalog = Catalog.load()
        self._platform = platform_topics(self._catalog, PARTITIONS)
        self._kept = {*(spec.name for spec in self._platform), AVRO_TOPIC, JSON_TOPIC, *kept}
        self.broker = Broker(stage.bootstrap)

    @property
    def catalog(self) -> Catalog:
        """The catalog of the reference application."""
        return self._catalog

    def empty(self, *topics: str) -> None:
        """Make these platform topics anew, and whatever else the platform needs."""
        self.broker.remove(topics)
        self.broker.make(self._platform)

    def write(self, stamp: Stamp, numbers: Iterable[tuple[int, int]]) -> None:
        """Write stamped events; `numbers` has pairs of number and aggregate."""
        with self.broker.writer(stamp.topic) as writer:
            for number, aggregate in numbers:
                key, value, headers = stamp.record(number, aggregate)
                partition = partition_of(key, PARTITIONS)
                writer.write(NewRecord(partition, key, value, tuple(headers)))

    def new_group(self, system: System) -> str:
        """A group that nobody has used."""
        return group_of(system, f"bench-{uuid.uuid4().hex[:8]}")

    def run(self, system: System, run: FreshRun) -> Measurement:
        """Run a system; what it has left on the broker is removed. Raises SystemFailed."""
        with self._stage.run_folder() as folder:
            config = RunConfig(
                folder=str(folder),
                bootstrap=self._stage.bootstrap,
                topic=run.topic,
                group=run.group or self.new_group(system),
                events=run.events,
                warm_up=run.warm_up,
                seconds=self._stage.seconds,
                schemas=schema_files(self._catalog),
                options={**system.options, **run.options},
            )
            return self._stage.launcher.run(system, config, run.longest_s)

    @contextmanager
    def cleared(self) -> Iterator[None]:
        """Remove the topics that runs have made within the block."""
        try:
            yield
        finally:
            self.broker.remove_all_but(self._kept)


def evenly(numbers: Sequence[int], aggregates: int) -> Iterator[tuple[int, int]]:
    """Each number with its aggregate."""
    return ((number, number % aggregates) for number in numbers)
