"""What an append with an expected version costs, one at a time and a hundred at a time."""

from __future__ import annotations

from typing import Final

from benchmarks.append_run import ACCOUNTS, BATCH
from benchmarks.appending import Appending
from benchmarks.bench import Bench
from benchmarks.goals import Measured, at_least
from benchmarks.system import OURS, Environment, System

LIBRARY: Final = "eventsourcing"
BARE: Final = "bare INSERT, same encode and row"
SINGLE: Final = "single_per_s"
BATCHED: Final = "batched_per_s"

_SETTINGS: Final = {
    "accounts, taking turns": ACCOUNTS,
    "events of a batch": BATCH,
    "writers": 1,
    "synchronous_commit": "on",
}

BENCH: Final = Bench(
    name="append",
    question="How many events a second does one writer append, each append committed?",
    unit="appends/s",
    metric=SINGLE,
    driver=Appending,
    systems=(
        System(
            name=OURS,
            module="benchmarks.systems.append",
            environment=Environment.PROJECT,
            settings={
                **_SETTINGS,
                "append": "PostgresEventAppender.append, exact version, outbox row, jsonb",
                "loop": "uvloop",
            },
            options={"table": "events"},
        ),
        System(
            name=LIBRARY,
            module="benchmarks.peers.append_eventsourcing",
            settings={
                **_SETTINGS,
                "append": "Application.save of an aggregate in memory, JSON transcoder",
                "driver": "psycopg 3, its pool",
            },
            options={"table": "application_events"},
        ),
        System(
            name=BARE,
            module="benchmarks.systems.raw_append",
            environment=Environment.PROJECT,
            settings={
                **_SETTINGS,
                "one": "one INSERT that commits by itself, one round trip",
                "many": "executemany in a transaction",
                "loop": "uvloop",
            },
            options={"table": "events"},
        ),
    ),
    goals=(
        at_least(
            2.0,
            "single >= 2 x eventsourcing",
            Measured(OURS, SINGLE),
            Measured(LIBRARY, SINGLE),
        ),
        at_least(
            0.8,
            "single >= 0.8 x a bare INSERT + commit",
            Measured(OURS, SINGLE),
            Measured(BARE, SINGLE),
        ),
        at_least(
            5.0,
            "100 at a time >= 5 x eventsourcing",
            Measured(OURS, BATCHED),
            Measured(LIBRARY, BATCHED),
        ),
    ),
)
