"""How fast archived events reach PostgreSQL, each once, beside a bare COPY into the same table."""

from __future__ import annotations

from typing import Final

from benchmarks.bench import Bench, Stage
from benchmarks.contract import Measurement, RunConfig
from benchmarks.errors import ChecksumMismatch
from benchmarks.goals import Measured, at_least
from benchmarks.stored_topic import StoredTopic, count_rows, migrated_database
from benchmarks.system import OURS, Environment, System

JSON: Final = "wundr, with jsonb"
COPY: Final = "COPY"
COPY_JSON: Final = "COPY, with jsonb"
EVENTS_PER_S: Final = 70_000
"""The topic has enough for runs as fast as this, warm-up included."""

WARM_UP: Final = 20_000

_OURS: Final = "benchmarks.systems.sink"
_COPY: Final = "benchmarks.systems.copy_rows"


class Sinking:
    """Implements Driver: one topic, and for each run an empty database."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._topic = StoredTopic(stage.bootstrap)
        self._events = WARM_UP + round(EVENTS_PER_S * stage.seconds)

    def prepare(self) -> None:
        """See Driver."""
        self._stage.say(f"writing {self._events:,} events")
        self._topic.write(self._events)

    def run(self, system: System) -> Measurement:
        """See Driver."""
        with (
            migrated_database(self._stage.postgres_dsn) as dsn,
            self._stage.run_folder() as folder,
        ):
            config = RunConfig(
                folder=str(folder),
                bootstrap=self._stage.bootstrap,
                events=self._events,
                warm_up=WARM_UP,
                seconds=self._stage.seconds,
                options={**system.options, "dsn": dsn},
            )
            measured = self._stage.launcher.run(system, config)
            rows = count_rows(dsn)
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
    ),
    goals=(
        at_least(0.8, ">= 0.8 x COPY of the same rows", Measured(OURS), Measured(COPY)),
        at_least(0.8, "with jsonb >= 0.8 x COPY with jsonb", Measured(JSON), Measured(COPY_JSON)),
    ),
)
