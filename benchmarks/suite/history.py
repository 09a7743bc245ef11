"""What histories cost: one aggregate out of many events, and all events in order of time."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from benchmarks.bench import Bench, Driver, Stage, TimedRuns
from benchmarks.goals import Measured, at_least, at_most
from benchmarks.histories import fill
from benchmarks.system import OURS, Environment, System

PSYCOPG: Final = "psycopg alone"


def driver(stage: Stage) -> Driver:
    """Every run reads the same million events once, and loads the same aggregate."""

    def prepare(_folder: Path) -> dict[str, str]:
        stage.say("storing 1,000,000 events")
        return {"dsn": fill(stage.postgres_dsn)}

    return TimedRuns(stage, prepare)


BENCH: Final = Bench(
    name="history",
    question="What do an aggregate of 10,000 events and a stream of 1,000,000 cost?",
    systems=(
        System(
            name=OURS,
            module="benchmarks.systems.history",
            environment=Environment.PROJECT,
            settings={
                "stream": "PostgresEventStore.stream(): keyset pages, every event's data read",
                "load": "Repository.load, 99 events behind the snapshot, pool with its checks",
            },
        ),
        System(
            name=PSYCOPG,
            module="benchmarks.systems.history_psycopg",
            environment=Environment.PROJECT,
            settings={
                "stream": "a server-side cursor, 2,000 rows a fetch, our codec",
                "load": "two statements on one connection, no pool, our codec",
            },
        ),
    ),
    goals=(
        at_most(
            5.0,
            "load of an aggregate with 10,000 events and a snapshot <= 5 ms",
            Measured(OURS, "load_ms"),
        ),
        at_most(
            100.0,
            "1,000,000 events streamed: memory grows <= 100 MB",
            Measured(OURS, "growth_mb"),
        ),
        at_least(
            0.8,
            "streamed >= 0.8 x a server-side cursor",
            Measured(OURS),
            Measured(PSYCOPG),
        ),
    ),
    driver=driver,
)
