"""The analysing producer.

Starts an analysis, publishes what it finds in each file, and completes the analysis once every file
is acknowledged.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Final

from examples.analysis.aggregate import Analysis, AnalysisResults
from examples.analysis.plan import PackagePlan
from examples.analysis.source import SourceFacts, analyse
from schemas.event import EventData, EventFactory
from schemas.events.domain import AnalysisFileProcessed, AnalysisFileProcessedV1_0
from streams.aggregate import RootCommand
from streams.attempts import Sleep
from streams.bus.port import EventBus
from streams.errors import InfrastructureError
from streams.receipt import Receipt
from streams.repository import Repository
from streams.retry import RetrySchedule

START: Final = "start"
COMPLETE: Final = "complete"
"""The ids of the two commands of an analysis: each is carried out once, however often tried."""

Analyses = Repository[RootCommand[Analysis], Analysis]
"""Where analyses are started and completed."""

FileEvent = Callable[[PackagePlan, str, SourceFacts], EventData]
"""How a producer of one release describes a processed file."""


@dataclass(slots=True, kw_only=True)
class _Counts:
    """What was counted in one package so far."""

    files: int = 0
    failed: int = 0
    functions: int = 0
    classes: int = 0
    lines: int = 0

    def add(self, facts: SourceFacts) -> None:
        self.files += 1
        self.failed += facts.error is not None
        self.functions += facts.functions
        self.classes += facts.classes
        self.lines += facts.lines

    def results(self, duration_ms: float) -> AnalysisResults:
        return AnalysisResults(
            files=self.files,
            failed=self.failed,
            functions=self.functions,
            classes=self.classes,
            lines=self.lines,
            duration_ms=round(duration_ms),
        )


def current_release(plan: PackagePlan, path: str, facts: SourceFacts) -> EventData:
    """`analysis.file.processed` 1.1.0, with imports and complexity."""
    return AnalysisFileProcessed(
        analysis_id=plan.analysis_id,
        project_id=plan.project_id,
        path=path,
        lines=facts.lines,
        functions=facts.functions,
        classes=facts.classes,
        error=facts.error,
        imports=facts.imports,
        complexity=facts.complexity,
    )


def previous_release(plan: PackagePlan, path: str, facts: SourceFacts) -> EventData:
    """`analysis.file.processed` 1.0.0, as a producer that was not yet upgraded writes it."""
    return AnalysisFileProcessedV1_0(
        analysis_id=plan.analysis_id,
        project_id=plan.project_id,
        path=path,
        lines=facts.lines,
        functions=facts.functions,
        classes=facts.classes,
        error=facts.error,
    )


RELEASES: dict[str, FileEvent] = {"1.0.0": previous_release, "1.1.0": current_release}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Analysed:
    """A package whose files were all read. Their events are on their way."""

    plan: PackagePlan
    results: AnalysisResults
    receipts: Sequence[Receipt]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisProducer:
    """Tells of packages: started, one event per file, completed.

    `now_ms` is a monotonic clock. `schedule` says how often a command is tried while the store is
    away.
    """

    bus: EventBus
    analyses: Analyses
    factory: EventFactory
    root: Path
    run_id: str
    file_event: FileEvent
    now_ms: Callable[[], float]
    schedule: RetrySchedule = field(default_factory=lambda: RetrySchedule(tries=5))
    sleep: Sleep = asyncio.sleep

    async def run(self, plans: Sequence[PackagePlan]) -> int:
        """Analyse all packages; returns the number of acknowledged events.

        What a receipt or the store raises comes in an ExceptionGroup.
        """
        async with asyncio.TaskGroup() as completing:
            # The next package is read while the files of the one before are acknowledged.
            completions = [
                completing.create_task(self._complete(await self._analyse(plan))) for plan in plans
            ]
        return sum(completion.result() for completion in completions)

    async def _analyse(self, plan: PackagePlan) -> _Analysed:
        began = self.now_ms()
        counts = _Counts()
        await self._carry_out(plan, START, lambda analysis: self._start(analysis, plan))
        receipts = []
        for path in plan.files:
            # In a thread, so that what was published goes out while the next file is parsed.
            facts = await asyncio.to_thread(_read, path)
            counts.add(facts)
            relative = path.relative_to(self.root).as_posix()
            event = self.factory.create(
                self.file_event(plan, relative, facts),
                aggregate_id=f"{plan.analysis_id}:{relative}",
                correlation_id=self.run_id,
            )
            receipts.append(await self.bus.publish(event))
        results = counts.results(self.now_ms() - began)
        return _Analysed(plan=plan, results=results, receipts=receipts)

    def _start(self, analysis: Analysis, plan: PackagePlan) -> None:
        analysis.start(plan.project_id, plan.package, files=len(plan.files), root=str(self.root))

    async def _complete(self, analysed: _Analysed) -> int:
        """How many events of the package are acknowledged: its files, its start and its end."""
        for receipt in analysed.receipts:
            await receipt
        await self._carry_out(
            analysed.plan, COMPLETE, lambda analysis: analysis.complete(analysed.results)
        )
        return len(analysed.receipts) + 2

    async def _carry_out(
        self, plan: PackagePlan, command_id: str, command: RootCommand[Analysis]
    ) -> None:
        """Carry a command out once; tried again while the store is away, for a bounded time."""
        for failures in count(1):
            try:
                await self.analyses.execute(
                    plan.analysis_id,
                    command,
                    command_id=command_id,
                    correlation_id=self.run_id,
                )
            except InfrastructureError:
                if self.schedule.exhausted(failures):
                    raise
                await self.sleep(self.schedule.delay_s(failures))
            else:
                return


def _read(path: Path) -> SourceFacts:
    """The facts of a file; one that cannot be read is reported like one that cannot be parsed."""
    try:
        return analyse(path.read_bytes())
    except OSError as error:
        return SourceFacts(lines=0, error=f"{type(error).__name__}: {error.strerror}")
