"""A course with everything in it: a root, its effects, a retry, a dead letter, browsers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.catalog import Catalog
from schemas.event import Event, EventFactory
from streams.timeline import Evidence, Sighting, Stage, Timeline, timeline

CATALOG = Catalog.load()
BEGAN = datetime(2026, 11, 25, 12, tzinfo=UTC)
BEGAN_MS = round(BEGAN.timestamp() * 1_000)


def event(
    event_id: str, event_type: str, data: dict[str, Any], cause: Event[Any] | None = None
) -> Event[Any]:
    """An event of a course that began at BEGAN."""
    aggregate = next((data[key] for key in ("sessionId",) if key in data), None)
    return EventFactory(CATALOG, source="tests").create_from_mapping(
        event_type,
        data,
        id=event_id,
        aggregate_id=aggregate,
        causation_id=None if cause is None else cause.id,
        correlation_id="run",
        timestamp=BEGAN if cause is None else BEGAN + timedelta(milliseconds=1),
    )


SESSION = {"sessionId": "s-1"}
STARTED = event(
    "e-1", "setup.session.started", {**SESSION, "projectId": "p", "profileId": "f", "userId": None}
)
VALIDATE = event(
    "e-2", "setup.step.validate.started", {**SESSION, "projectId": "p", "profileId": "f"}, STARTED
)
FAILED = event(
    "e-3", "setup.session.failed", {**SESSION, "projectId": "p", "reason": "<none>"}, VALIDATE
)


def seen(of: Event[Any], stage: Stage, subject: str, at: int | None, detail: str = "") -> Sighting:
    """A sighting so many milliseconds after the beginning."""
    at_ms = None if at is None else BEGAN_MS + at
    return Sighting(event_id=of.id, stage=stage, subject=subject, detail=detail, at_ms=at_ms)


SIGHTINGS = [
    seen(STARTED, Stage.PUBLISHED, "events.domain.normal/1/7", 2),
    seen(STARTED, Stage.ARCHIVED, "store.events/1/90", 5),
    seen(STARTED, Stage.STORED, "PostgreSQL", 28),
    seen(STARTED, Stage.SHOWN, "room project.p", 9, "broadcast.project/0/3"),
    seen(STARTED, Stage.HANDLED, "analysis.main/begin", None),
    seen(VALIDATE, Stage.PUBLISHED, "events.domain.normal/1/8", 12),
    seen(VALIDATE, Stage.ARCHIVED, "store.events/1/91", 16),
    seen(VALIDATE, Stage.STORED, "PostgreSQL", 40),
    seen(VALIDATE, Stage.RETRY, "analysis.main/check", 30, "try 1: ValueError: no"),
    seen(VALIDATE, Stage.RETRY, "analysis.main/check", 1_040, "try 2: ValueError: no"),
    seen(VALIDATE, Stage.DEAD_LETTER, "analysis.main/check", 5_100, "try 3: ValueError"),
    seen(VALIDATE, Stage.LEFT, "analysis.main/check", 65_000, "dlq.analysis"),
    seen(FAILED, Stage.PUBLISHED, "events.domain.normal/1/9", 65_020),
    seen(FAILED, Stage.PENDING, "analysis.main/hourly-counts", None, "not yet"),
]


def full_course() -> Timeline:
    """The course of VALIDATE."""
    evidence = Evidence(
        sightings=SIGHTINGS,
        emitters={VALIDATE.id: "analysis/begin"},
        unsearched=("broadcast.user: 900,000 records, more than are looked through",),
    )
    return timeline([STARTED, VALIDATE, FAILED], VALIDATE.id, evidence)
