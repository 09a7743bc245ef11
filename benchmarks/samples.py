"""Events of the reference application: the same ones in every run, of any number. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Final

from schemas.catalog import Catalog
from schemas.event import Event, EventData, EventFactory, milliseconds
from schemas.events.domain import (
    AnalysisCompleted,
    AnalysisFileProcessed,
    AnalysisStarted,
    SetupStepInstallCompleted,
)
from schemas.identity import RANDOM_BYTES, uuid7

NUMBER_FIELDS: Final[Mapping[str, str]] = {
    "analysis.file.processed": "lines",
    "analysis.started": "files",
    "analysis.completed": "files",
    "setup.step.install.completed": "success",
}
"""The one field of the data that every handler reads, by type; a boolean counts as 0 or 1."""

PRODUCERS: Final = 4
RUN: Final = 8
"""So many events of one producer follow each other, on average."""

_BEGAN: Final = datetime(2026, 1, 1, tzinfo=UTC)
_PACKAGES: Final = ("asyncio", "collections", "concurrent", "email", "http", "importlib", "json")


def event_factory(
    catalog: Catalog, seed: int = 1, source: str = "analysis-producer-1.1.0"
) -> EventFactory:
    """A factory whose ids and times are the same in every run, a millisecond apart."""
    chance = random.Random(seed)
    now = _BEGAN

    def clock() -> datetime:
        nonlocal now
        now += timedelta(milliseconds=1)
        return now

    def new_id(timestamp: datetime) -> str:
        return uuid7(milliseconds(timestamp), chance.randbytes(RANDOM_BYTES))

    return EventFactory(catalog, source, clock=clock, ids=new_id)


class Producers:
    """Several producers at work at once.

    Their events come in short runs, as their batches do in a topic: a reader that is quick only
    while everything repeats would not be flattered.
    """

    def __init__(self, catalog: Catalog, seed: int = 1) -> None:
        self._chance = random.Random(seed)
        self._producers = [
            (event_factory(catalog, seed + number, f"analysis-producer-{number}"), f"run-{number}")
            for number in range(PRODUCERS)
        ]
        self._current = self._producers[0]

    def create(self, data: EventData, aggregate_id: str) -> Event[EventData]:
        """The next event of all."""
        if self._chance.random() < 1 / RUN:
            self._current = self._chance.choice(self._producers)
        factory, run = self._current
        return factory.create(data, aggregate_id=aggregate_id, correlation_id=run)


def file_events(producers: Producers, aggregates: int, seed: int = 1) -> Iterator[Event[EventData]]:
    """`analysis.file.processed` without end, spread evenly over so many source files."""
    chance = random.Random(seed)
    while True:
        data = file_processed(chance.randrange(aggregates), chance)
        yield producers.create(data, f"{data.analysis_id}:{data.path}")


def file_processed(number: int, chance: random.Random) -> AnalysisFileProcessed:
    """What was counted in source file `number`."""
    package = _PACKAGES[number % len(_PACKAGES)]
    return AnalysisFileProcessed(
        analysis_id=f"run-0001:{package}",
        project_id=f"project-{number % 3}",
        path=f"{package}/module_{number}.py",
        lines=chance.randrange(1, 3_000),
        functions=chance.randrange(120),
        classes=chance.randrange(20),
        imports=chance.randrange(30),
        complexity=chance.randrange(1, 400),
    )


def published_events(producers: Producers, count: int) -> list[Event[EventData]]:
    """So many different events of a type that is published, of a thousand source files."""
    return list(islice(file_events(producers, 1_000), count))


def mixed_events(producers: Producers, count: int, seed: int = 1) -> list[Event[EventData]]:
    """Seven files in ten events, and one each of three other types."""
    chance = random.Random(seed)
    return [
        producers.create(_one_of_ten(number, chance), f"run-0001:{number % 1_000}")
        for number in range(count)
    ]


def analysis_completed(file: AnalysisFileProcessed, chance: random.Random) -> AnalysisCompleted:
    """The end of an analysis that had this file."""
    return AnalysisCompleted(
        analysis_id=f"{file.analysis_id}:{file.path}",
        project_id=file.project_id,
        package=file.path.partition("/")[0],
        files=chance.randrange(1, 80),
        failed=0,
        functions=file.functions,
        classes=file.classes,
        lines=file.lines,
        duration_ms=chance.randrange(20_000),
    )


def _one_of_ten(number: int, chance: random.Random) -> EventData:
    file = file_processed(number % 1_000, chance)
    match number % 10:
        case 7:
            return AnalysisStarted(
                analysis_id=file.analysis_id,
                project_id=file.project_id,
                package=file.path.partition("/")[0],
                files=chance.randrange(1, 80),
                root="/usr/lib/python3.11",
            )
        case 8:
            return analysis_completed(file, chance)
        case 9:
            return SetupStepInstallCompleted(
                session_id=f"session-{number}", project_id=file.project_id, success=True
            )
        case _:
            return file


def schema_files(catalog: Catalog) -> dict[str, str]:
    """Where the composed schema of each id stands, seen from the root of the tree."""
    return {
        str(schema_id): str(
            Path("schemas", "composed", schema.type, f"{schema.version}.avsc").as_posix()
        )
        for schema_id, schema in catalog.schema_ids().items()
    }


def number_of(event_type: str, payload: Mapping[str, Any]) -> int:
    """The field that every handler reads, from data as on the wire."""
    return int(payload[NUMBER_FIELDS[event_type]])
