"""How fast archived events reach PostgreSQL, each once, beside COPY and Debezium's JDBC sink."""

from __future__ import annotations

import uuid
from typing import Final

from benchmarks.bench import Bench, Stage
from benchmarks.contract import Measurement, RunConfig
from benchmarks.errors import ChecksumMismatch
from benchmarks.goals import Measured, at_least
from benchmarks.peers.connect.installation import ensure_installed
from benchmarks.peers.connect.settings import TABLE, TUNING
from benchmarks.samples import schema_files
from benchmarks.stored_topic import EVENTS_TABLE, StoredTopic, count_rows, migrated_database
from benchmarks.system import OURS, Environment, System
from schemas.catalog import Catalog
from schemas.topics import STORE_EVENTS

JSON: Final = "wundr, with jsonb"
COPY: Final = "COPY"
COPY_JSON: Final = "COPY, with jsonb"
DEBEZIUM: Final = "Debezium's JDBC sink"
DEBEZIUM_INDEXED: Final = "Debezium's JDBC sink, all indexes"
EVENTS_PER_S: Final = 90_000
"""The topic has enough for runs as fast as this, warm-up included."""

WARM_UP: Final = 20_000
JVM_WARM_UP: Final = 200_000
"""Debezium's sink goes faster until it has written about so many rows."""

_OURS: Final = "benchmarks.systems.sink"
_COPY: Final = "benchmarks.systems.copy_rows"
_CONNECT: Final = "benchmarks.peers.connect"


class Sinking:
    """Implements Driver: one topic, and for each run an empty database."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._topic = StoredTopic(stage.bootstrap)
        self._events = WARM_UP + round(EVENTS_PER_S * stage.seconds)
        self._schemas = schema_files(Catalog.load())
        self._kept: set[str] = set()

    def prepare(self) -> None:
        """See Driver."""
        self._stage.say(f"writing {self._events:,} events")
        self._topic.write(self._events)
        self._kept = self._topic.broker.topics()

    def run(self, system: System) -> Measurement:
        """See Driver."""
        if system.module == _CONNECT:
            # The first time it takes longer than a run may.
            ensure_installed()
        with (
            migrated_database(self._stage.postgres_dsn) as dsn,
            self._stage.run_folder() as folder,
        ):
            config = RunConfig(
                folder=str(folder),
                bootstrap=self._stage.bootstrap,
                topic=STORE_EVENTS,
                group=f"bench-{uuid.uuid4().hex[:8]}",
                events=self._events,
                # A short look has few events, and is to measure some of them.
                warm_up=min(max(WARM_UP, system.min_warm_up), self._events // 2),
                seconds=self._stage.seconds,
                schemas=self._schemas,
                options={**system.options, "dsn": dsn},
            )
            measured = self._stage.launcher.run(system, config)
            rows = count_rows(dsn, system.options.get("table", EVENTS_TABLE))
        self._topic.broker.remove_all_but(self._kept)
        if rows != round(measured.metrics["stored"]):
            raise ChecksumMismatch(f"{system.name} stored {measured.metrics['stored']}, not {rows}")
        return measured


def _system(name: str, module: str, *, with_json: bool) -> System:
    return System(
        name=name,
        module=module,
        environment=Environment.PROJECT,
        settings={"jsonb": with_json, "table": "events, all indexes", "per transaction": 4_000},
        options={"json": with_json},
    )


def _debezium(name: str, *, indexed: bool) -> System:
    return System(
        name=name,
        module=_CONNECT,
        environment=Environment.PROJECT,
        settings={
            "columns": "16: the envelope without its metadata, and the data, flattened",
            "table": "of its own, " + ("the indexes of events" if indexed else "primary key only"),
            **TUNING,
            "reWriteBatchedInserts": True,
            "collector": "parallel",
        },
        options={"table": TABLE, "indexed": indexed},
        min_warm_up=JVM_WARM_UP,
    )


BENCH: Final = Bench(
    name="sink",
    question="How many archived events a second does one sink store in PostgreSQL?",
    driver=Sinking,
    unit="rows/s",
    systems=(
        _system(OURS, _OURS, with_json=False),
        _system(JSON, _OURS, with_json=True),
        _system(COPY, _COPY, with_json=False),
        _system(COPY_JSON, _COPY, with_json=True),
        _debezium(DEBEZIUM, indexed=False),
        _debezium(DEBEZIUM_INDEXED, indexed=True),
    ),
    goals=(
        at_least(0.8, ">= 0.8 x COPY of the same rows", Measured(OURS), Measured(COPY)),
        at_least(1.5, ">= 1.5 x Debezium's JDBC sink", Measured(OURS), Measured(DEBEZIUM)),
        at_least(0.8, "with jsonb >= 0.8 x COPY with jsonb", Measured(JSON), Measured(COPY_JSON)),
    ),
)
