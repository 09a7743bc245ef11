"""The analysing producer.

Reads source files, publishes what it finds, and waits for every receipt.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from examples.analysis.plan import PackagePlan
from examples.analysis.source import SourceFacts, analyse
from schemas.event import Event, EventData, EventFactory
from schemas.events.domain import (
    AnalysisCompleted,
    AnalysisFileProcessed,
    AnalysisFileProcessedV1_0,
    AnalysisStarted,
)
from streams.bus.port import EventBus

FileEvent = Callable[[PackagePlan, str, SourceFacts], EventData]
"""How a producer of one release describes a processed file."""


@dataclass(slots=True, kw_only=True)
class _Counts:
    """What was counted in one package so far."""

    failed: int = 0
    functions: int = 0
    classes: int = 0
    lines: int = 0

    def add(self, facts: SourceFacts) -> None:
        self.failed += facts.error is not None
        self.functions += facts.functions
        self.classes += facts.classes
        self.lines += facts.lines


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
class AnalysisProducer:
    """Publishes the events of packages: started, one per file, completed.

    `now_ms` is a monotonic clock.
    """

    bus: EventBus
    factory: EventFactory
    root: Path
    run_id: str
    file_event: FileEvent
    now_ms: Callable[[], float]

    async def run(self, plans: tuple[PackagePlan, ...]) -> int:
        """Analyse all packages; returns the number of acknowledged events.

        Raises what a receipt raises.
        """
        receipts = [
            await self.bus.publish(event) for plan in plans async for event in self._events(plan)
        ]
        for receipt in receipts:
            await receipt
        return len(receipts)

    async def _events(self, plan: PackagePlan) -> AsyncIterator[Event[EventData]]:
        began = self.now_ms()
        counts = _Counts()
        yield self._event(
            AnalysisStarted(
                analysis_id=plan.analysis_id,
                project_id=plan.project_id,
                package=plan.package,
                files=len(plan.files),
                root=str(self.root),
            ),
            plan.analysis_id,
        )
        for path in plan.files:
            # In a thread, so that what was published goes out while the next file is parsed.
            facts = await asyncio.to_thread(_read, path)
            counts.add(facts)
            relative = path.relative_to(self.root).as_posix()
            yield self._event(
                self.file_event(plan, relative, facts), f"{plan.analysis_id}:{relative}"
            )
        yield self._event(
            AnalysisCompleted(
                analysis_id=plan.analysis_id,
                project_id=plan.project_id,
                package=plan.package,
                files=len(plan.files),
                failed=counts.failed,
                functions=counts.functions,
                classes=counts.classes,
                lines=counts.lines,
                duration_ms=round(self.now_ms() - began),
            ),
            plan.analysis_id,
        )

    def _event(self, data: EventData, aggregate_id: str) -> Event[EventData]:
        return self.factory.create(data, aggregate_id=aggregate_id, correlation_id=self.run_id)


def _read(path: Path) -> SourceFacts:
    """The facts of a file; one that cannot be read is reported like one that cannot be parsed."""
    try:
        return analyse(path.read_bytes())
    except OSError as error:
        return SourceFacts(lines=0, error=f"{type(error).__name__}: {error.strerror}")
