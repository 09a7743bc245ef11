"""A bench: what is compared, by what goals, and how a run of a system is carried out."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from benchmarks.contract import Measurement, RunConfig
from benchmarks.errors import ChecksumMismatch
from benchmarks.goals import RATE, Goal
from benchmarks.launch import Launcher
from benchmarks.system import OURS, System


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What a bench is given to run on.

    `bootstrap` and `dsn` are empty for a bench without servers; `folder` outlives the bench;
    `seconds` is how long a run should measure; `say` tells people what is going on.
    """

    folder: Path
    bootstrap: str
    launcher: Launcher
    seconds: float
    say: Callable[[str], None]
    dsn: str = field(default="", repr=False)

    @contextmanager
    def run_folder(self) -> Iterator[Path]:
        """An empty folder for one run; kept when the run fails, for its log."""
        self.folder.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="run-", dir=self.folder))
        yield folder
        shutil.rmtree(folder, ignore_errors=True)


class Driver(Protocol):
    """Carries out the runs of one bench."""

    def prepare(self) -> None:
        """Make ready what all runs share."""
        ...

    def run(self, system: System) -> Measurement:
        """One run. Raises SystemFailed, ChecksumMismatch."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What is compared. The first system is ours, and runs twice a round to show the noise.

    `metric` is the figure of the bench, `unit` its unit.
    """

    name: str
    question: str
    systems: Sequence[System]
    goals: Sequence[Goal]
    driver: Callable[[Stage], Driver]
    unit: str = "events/s"
    metric: str = RATE
    needs_kafka: bool = True

    def __post_init__(self) -> None:
        names = [system.name for system in self.systems]
        if names[0] != OURS or len(set(names)) != len(names):
            raise ValueError(f"bench {self.name}: the first of {names} is to be {OURS}, each once")


class TimedRuns:
    """Runs that end by themselves after `stage.seconds`: all must have read the same.

    Implements Driver. `prepare` may write what the systems read into the folder, and returns the
    options that all programs get.
    """

    def __init__(self, stage: Stage, prepare: Callable[[Path], dict[str, str]]) -> None:
        self._stage = stage
        self._prepare = prepare
        self._options: dict[str, str] = {}
        self._checksum: tuple[int, str] | None = None

    def prepare(self) -> None:
        """See Driver."""
        self._options = self._prepare(self._stage.folder)

    def run(self, system: System) -> Measurement:
        """See Driver."""
        with self._stage.run_folder() as folder:
            config = RunConfig(
                folder=str(folder),
                bootstrap=self._stage.bootstrap,
                seconds=self._stage.seconds,
                options={**self._options, **system.options},
            )
            measured = self._stage.launcher.run(system, config)
        expected, first = self._checksum = self._checksum or (measured.checksum, system.name)
        if measured.checksum != expected:
            raise ChecksumMismatch(f"{system.name} read other events than {first}")
        return measured
