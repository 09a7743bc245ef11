"""How late a saga hears of its deadline, with 100,000 of them waited for."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from benchmarks.bench import Bench, Driver, Stage, TimedRuns
from benchmarks.goals import Measured, at_least, at_most
from benchmarks.pending_deadlines import database
from benchmarks.system import OURS, Environment, System

BARE: Final = "bare loop, nothing decided"
LATE: Final = "late_p99_ms"


def driver(stage: Stage) -> Driver:
    """Every run fills the same tables anew."""

    def prepare(_folder: Path) -> dict[str, str]:
        return {"dsn": database(stage.postgres_dsn)}

    return TimedRuns(stage, prepare)


BENCH: Final = Bench(
    name="deadlines",
    question="How late is a deadline of 100,000, of which 1,000 a second come due?",
    unit="ms late, p99",
    metric=LATE,
    systems=(
        System(
            name=OURS,
            module="benchmarks.systems.deadlines",
            environment=Environment.PROJECT,
            settings={
                "fire": "DeadlineFiring over PostgresSagaStore, one process",
                "a deadline": "history read, saga decides, two events encoded, outbox, course over",
                "late": "from when it was due until its step was committed",
            },
        ),
        System(
            name=BARE,
            module="benchmarks.systems.raw_deadlines",
            environment=Environment.PROJECT,
            settings={
                "fire": "one statement of 200 rows, again every 20 ms when there are fewer",
                "a deadline": "deleted, one row of a step, two rows of bytes in the outbox",
                "late": "the same",
            },
        ),
    ),
    goals=(
        at_most(1_000.0, "99 % at most 1,000 ms late", Measured(OURS, LATE)),
        at_least(0.0, "none earlier than it is due: 0 ms", Measured(OURS, "earliest_ms")),
    ),
    driver=driver,
)
