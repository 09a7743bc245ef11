"""How fast a table comes back from its changelog when a worker starts with an empty folder."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Final, Self
from zlib import crc32

from benchmarks.bench import Bench, Stage
from benchmarks.broker import NewRecord
from benchmarks.contract import MODULUS, Measurement
from benchmarks.errors import ChecksumMismatch, NothingMeasured
from benchmarks.fresh import FreshRun, FreshTopics
from benchmarks.goals import Measured, at_least
from benchmarks.repositories import (
    FROM_ASSIGNMENT_CPU_S,
    FROM_ASSIGNMENT_S,
    files_of,
    repository_id,
)
from benchmarks.stamps import repositories_stamp
from benchmarks.system import AGAIN, OURS, Environment, System
from benchmarks.workload import PARTITIONS
from schemas.topics import TopicSpec
from streams.partitioner import partition_of

KEYS: Final = 300_000
MANY_KEYS: Final = 1_000_000
MANY: Final = "wundr, 1,000,000 keys"
FAUST: Final = "Faust"
TIMED: Final = "from the assignment to ready; where it is not told, from start, less an empty start"
STARTS: Final = 3
"""Starts without a key; their median counts."""
LEAST_S: Final = 0.01
WHOLE_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a start without a key takes."""

    seconds: float
    cpu_seconds: float

    @classmethod
    def of(cls, starts: Sequence[Measurement]) -> Self:
        """The median of several."""
        return cls(
            seconds=median(it.seconds for it in starts),
            cpu_seconds=median(it.cpu_seconds for it in starts),
        )


def recovery_alone(measured: Measurement, start: Start) -> Measurement:
    """The part of a start that was recovery. Raises NothingMeasured when it was none."""
    told = measured.metrics
    seconds = told.get(FROM_ASSIGNMENT_S, measured.seconds - start.seconds)
    if seconds < LEAST_S:
        raise NothingMeasured(f"{measured.events} keys came back in {seconds:.3f} s: no figure")
    cpu_seconds = told.get(FROM_ASSIGNMENT_CPU_S, measured.cpu_seconds - start.cpu_seconds)
    return replace(
        measured,
        seconds=seconds,
        cpu_seconds=max(LEAST_S, cpu_seconds),
        metrics={
            "keys": float(measured.events),
            "start_to_ready_s": measured.seconds,
            "start_without_a_key_s": start.seconds,
            "told_by_assignment": float(FROM_ASSIGNMENT_S in told),
        },
    )


class FromChangelog:
    """Implements Driver: the changelogs are written once, and every run reads one of them.

    The time is that from the moment when a worker knew its partitions, where the system says when
    that was. Elsewhere what a start takes with an empty changelog is measured beforehand, and taken
    off: joining a group takes as long for no key as for a million.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._fresh = FreshTopics(stage)
        self._stamp = repositories_stamp(self._fresh.catalog)
        self._share = min(1.0, stage.seconds / WHOLE_SECONDS)
        # A group outlives its topics: what another bench has committed would be skipped.
        self._bench = f"recovery-{uuid.uuid4().hex[:8]}"
        self._keys: dict[str, int] = {}
        self._starts: dict[str, Start] = {}

    def prepare(self) -> None:
        """See Driver."""
        with self._fresh.cleared():
            for system in BENCH.systems:
                self._fresh.empty(self._stamp.topic)
                self._stage.say(f"starting {system.name} without a key")
                group = f"no-keys-{self._group(system)}"
                self._starts[system.name] = Start.of(
                    [self._recover(system, group) for _ in range(STARTS)]
                )
        for system in BENCH.systems:
            wanted = self._wanted(system)
            self._stage.say(f"writing the changelog of {wanted:,} keys for {system.name}")
            write = self._write_faust if system.name == FAUST else self._write_ours
            self._keys[system.name] = write(system, wanted)
        bounds = self._fresh.broker.bounds(self._stamp.topic, PARTITIONS)
        for system in BENCH.systems:
            ends = [last for _, last in bounds]
            self._fresh.broker.place_group(self._group(system), self._stamp.topic, ends)

    def run(self, system: System) -> Measurement:
        """See Driver."""
        measured = self._recover(system, self._group(system))
        name = OURS if system.name == AGAIN else system.name
        keys, start = self._keys[name], self._starts[name]
        is_whole = keys == self._wanted(system) == measured.events
        if measured.events < keys or (is_whole and measured.checksum != checksum_of(keys)):
            raise ChecksumMismatch(f"{system.name} has not recovered what was written")
        return recovery_alone(measured, start)

    def _wanted(self, system: System) -> int:
        keys: int = system.options["keys"]
        return round(keys * self._share)

    def _recover(self, system: System, group: str) -> Measurement:
        return self._fresh.run(system, FreshRun(topic=self._stamp.topic, group=group))

    def _write_ours(self, system: System, keys: int) -> int:
        """Let an app of ours take in one event a key; how far it came in the time it has."""
        self._fresh.empty(self._stamp.topic)
        self._fresh.write(self._stamp, ((number, number) for number in range(keys)))
        order = FreshRun(
            topic=self._stamp.topic,
            group=self._group(system),
            events=keys,
            options={"stage": "fill"},
        )
        written = self._fresh.run(system, order).events
        if written == 0:
            raise ValueError(f"{system.name} has taken in nothing: no changelog, no figure")
        return written

    def _group(self, system: System) -> str:
        """The group that owns a system's changelog."""
        if system.name == FAUST:
            return f"{self._bench}-faust"
        return f"{self._bench}-{system.options['keys']}.main"

    def _write_faust(self, system: System, keys: int) -> int:
        """What Faust would have written itself, key and value as JSON, in a tenth of the time."""
        topic = f"{self._group(system)}-files-changelog"
        compacted = TopicSpec(
            name=topic,
            partitions=PARTITIONS,
            config={"cleanup.policy": "compact"},
            why="the table of the peer",
        )
        self._fresh.broker.make([compacted])
        with self._fresh.broker.writer(topic) as writer:
            for number in range(keys):
                key = json.dumps(key_of(number)).encode()
                value = json.dumps({"events": 1, "files": files_of(number)}).encode()
                writer.write(NewRecord(partition_of(key, PARTITIONS), key, value, ()))
        return keys


def key_of(number: int) -> str:
    """The key of a repository's entry."""
    return f"Repository/{repository_id(number)}"


def checksum_of(keys: int) -> int:
    """What a whole table adds up to."""
    total = sum(crc32(key_of(it).encode()) + 1 + files_of(it) for it in range(keys))
    return total % MODULUS


BENCH = Bench(
    name="recovery",
    question="How fast does a worker with an empty folder recover a table from its changelog?",
    unit="keys/s",
    systems=(
        System(
            name=OURS,
            module="benchmarks.systems.recovery",
            environment=Environment.PROJECT,
            options={"keys": KEYS},
            settings={"keys": KEYS, "time": TIMED},
        ),
        System(
            name=MANY,
            module="benchmarks.systems.recovery",
            environment=Environment.PROJECT,
            options={"keys": MANY_KEYS},
            settings={"keys": MANY_KEYS, "time": TIMED},
        ),
        System(
            name=FAUST,
            module="benchmarks.peers.recovery_faust",
            options={"keys": KEYS},
            settings={"keys": KEYS, "time": TIMED, "store": "memory://"},
        ),
    ),
    goals=(at_least(10.0, ">= 10 x Faust, 300,000 keys", Measured(OURS), Measured(FAUST)),),
    driver=FromChangelog,
)
