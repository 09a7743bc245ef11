"""How fast a projection is built anew from the event store."""

from __future__ import annotations

from typing import Final

from benchmarks.bench import Bench
from benchmarks.goals import Measured, at_least
from benchmarks.rebuilding import Rebuilding
from benchmarks.stored_history import AGGREGATES, EVENTS, PARTITIONS
from benchmarks.system import OURS, Environment, System

BARE: Final = "bare psycopg, same decode and fold"

_SETTINGS: Final = {"events": EVENTS, "keys": AGGREGATES, "partitions": PARTITIONS}

BENCH: Final = Bench(
    name="rebuild",
    question="How many stored events a second does one process fold into a projection's rows?",
    driver=Rebuilding,
    systems=(
        System(
            name=OURS,
            module="benchmarks.systems.rebuild",
            environment=Environment.PROJECT,
            settings={
                **_SETTINGS,
                "rebuild": "pages of 8,000 offsets, each event at its first place only, rows and "
                "checkpoint committed per page; compared with the live version, switched",
                "loop": "uvloop",
            },
        ),
        System(
            name=BARE,
            module="benchmarks.systems.raw_rebuild",
            environment=Environment.PROJECT,
            settings={
                **_SETTINGS,
                "rebuild": "one query by a server-side cursor, states in memory, one INSERT; no "
                "repeats dropped, no checkpoint, no comparison",
            },
        ),
    ),
    goals=(
        at_least(40_000, ">= 40000 events/s from 1,000,000 stored events", Measured(OURS)),
        at_least(
            0.5,
            ">= 0.5 x the same decode and fold without checkpoints",
            Measured(OURS),
            Measured(BARE),
        ),
    ),
)
