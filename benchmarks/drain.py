"""Runs that read the end of a filled topic, each so long that it takes the time."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection
from typing import Final

from benchmarks.bench import Stage
from benchmarks.broker import Broker
from benchmarks.contract import Measurement, RunConfig
from benchmarks.errors import ChecksumMismatch
from benchmarks.rounds import Size, is_long_enough, size_for
from benchmarks.samples import schema_files
from benchmarks.system import AGAIN, OURS, Stream, System
from benchmarks.workload import AVRO_TOPIC, JSON_TOPIC, FilledTopic, fill
from schemas.catalog import Catalog
from schemas.topics import platform_topics

ATTEMPTS: Final = 3
"""How often a run is made longer before a short one counts."""


class Drain:
    """Implements Driver.

    What a run has left on the broker is removed after it, so that no run pays for another.
    """

    def __init__(self, stage: Stage, streams: Collection[Stream] = (Stream.AVRO,)) -> None:
        self._stage = stage
        self._streams = streams
        self._broker = Broker(stage.bootstrap)
        self._filled: dict[Stream, FilledTopic] = {}
        self._rates: dict[str, float] = {}
        catalog = Catalog.load()
        self._schemas = schema_files(catalog)
        platform = {spec.name for spec in platform_topics(catalog, 1)}
        self._kept = platform | {AVRO_TOPIC, JSON_TOPIC}

    def prepare(self) -> None:
        """See Driver."""
        for stream in self._streams:
            self._filled[stream] = fill(self._broker, self._stage.folder, stream, self._stage.say)
        self._broker.remove_all_but(self._kept)

    def run(self, system: System) -> Measurement:
        """See Driver. A run that proves too short is made again, longer."""
        name = OURS if system.name == AGAIN else system.name
        supply = self._filled[system.stream].index.supply
        attempt = 1
        while True:
            rate = self._rates.get(name, system.rate)
            size = size_for(rate, self._stage.seconds, system.min_warm_up, supply)
            measured = self._once(system, size)
            self._rates[name] = measured.events / measured.seconds
            long_enough = is_long_enough(measured.seconds, self._stage.seconds, size, supply)
            if long_enough or attempt == ATTEMPTS:
                return measured
            attempt += 1
            self._stage.say(f"{system.name}: {measured.seconds:.1f} s is too short, again")

    def _once(self, system: System, size: Size) -> Measurement:
        filled = self._filled[system.stream]
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
    return f"{run}.main" if system.name in (OURS, AGAIN) else run


def draining(*streams: Stream) -> Callable[[Stage], Drain]:
    """A bench's driver over these streams."""
    return lambda stage: Drain(stage, streams)
