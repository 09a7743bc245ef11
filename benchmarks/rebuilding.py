"""Runs that fold the same stored history, each into rows of its own."""

from __future__ import annotations

import asyncio

from benchmarks.bench import Stage
from benchmarks.contract import Measurement, RunConfig
from benchmarks.errors import ChecksumMismatch
from benchmarks.stored_history import EVENTS, fill, own_database
from benchmarks.system import System

DATABASE = "bench_rebuild"
WHOLE_SECONDS = 5.0


class Rebuilding:
    """Implements Driver: the history is stored once; every run must have folded the same."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        # A short look folds a short history, in a database of its own.
        self._events = round(EVENTS * min(1.0, stage.seconds / WHOLE_SECONDS))
        self._dsn = ""
        self._checksum: int | None = None

    def prepare(self) -> None:
        """See Driver."""
        self._dsn = own_database(self._stage.postgres_dsn, f"{DATABASE}_{self._events}")
        asyncio.run(fill(self._dsn, self._events, self._stage.say))

    def run(self, system: System) -> Measurement:
        """See Driver."""
        with self._stage.run_folder() as folder:
            config = RunConfig(
                folder=str(folder),
                bootstrap=self._stage.bootstrap,
                events=self._events,
                options={"dsn": self._dsn, **system.options},
            )
            measured = self._stage.launcher.run(system, config)
        self._checksum = self._checksum or measured.checksum
        if (measured.checksum, measured.events) != (self._checksum, self._events):
            raise ChecksumMismatch(f"{system.name} has not folded what is stored")
        return measured
