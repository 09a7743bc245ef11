"""Runs that read the end of a filled topic, each so long that it takes the time."""

from __future__ import annotations

import uuid

from benchmarks.bench import Stage
from benchmarks.broker import Broker
from benchmarks.contract import Measurement, RunConfig
from benchmarks.errors import ChecksumMismatch
from benchmarks.rounds import Size
from benchmarks.samples import schema_files
from benchmarks.sizing import Sizing
from benchmarks.system import Stream, System
from benchmarks.workload import AVRO_TOPIC, JSON_TOPIC, PARTITIONS, FilledTopic, fill
from schemas.catalog import Catalog
from schemas.topics import platform_topics


class Drain:
    """Implements Driver.

    What a run has left on the broker is removed after it, so that no run pays for another.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._broker = Broker(stage.bootstrap)
        self._filled: dict[Stream, FilledTopic] = {}
        self._sizing = Sizing(stage.seconds, stage.say)
        catalog = Catalog.load()
        self._schemas = schema_files(catalog)
        platform = {spec.name for spec in platform_topics(catalog, PARTITIONS)}
        self._kept = platform | {AVRO_TOPIC, JSON_TOPIC}

    def prepare(self) -> None:
        """See Driver."""
        self._broker.remove_all_but(self._kept)

    def run(self, system: System) -> Measurement:
        """See Driver."""
        supply = self._topic_of(system).index.supply
        return self._sizing.measure(system, supply, lambda size: self._once(system, size))

    def _topic_of(self, system: System) -> FilledTopic:
        stream = system.stream
        if stream not in self._filled:
            stage = self._stage
            self._filled[stream] = fill(
                self._broker, stage.folder, stream, stage.say, stage.seconds
            )
        return self._filled[stream]

    def _once(self, system: System, size: Size) -> Measurement:
        filled = self._topic_of(system)
        suffix = filled.index.suffix(size.events)
        run = f"bench-{uuid.uuid4().hex[:8]}"
        group = group_of(system, run)
        self._broker.place_group(group, filled.topic, suffix.starts)
        with self._stage.run_folder() as folder:
            config = RunConfig(
                folder=str(folder),
                bootstrap=self._stage.bootstrap,
                topic=filled.topic,
                group=group,
                events=size.events,
                warm_up=size.warm_up,
                seconds=self._stage.seconds,
                schemas=self._schemas,
                options=system.options,
            )
            measured = self._stage.launcher.run(system, config)
        self._broker.remove_all_but(self._kept)
        if measured.checksum != suffix.checksum:
            raise ChecksumMismatch(
                f"{system.name} handled {size.events} events, but not the ones that it was given"
            )
        return measured


def group_of(system: System, run: str) -> str:
    """The group of a run: an app of ours has its subscription in the name."""
    return f"{run}.main" if system.is_ours else run
