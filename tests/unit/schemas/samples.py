"""Events of every shape for the tests of this folder."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from schemas.catalog import Catalog
from schemas.envelope import Metadata
from schemas.event import Event, EventFactory
from schemas.events.domain import AnalysisFileProcessed, AnalysisFileProcessedV1_0

NOW = datetime(2026, 11, 23, 14, 5, 0, 123000, tzinfo=UTC)
NOW_MS = 1795442700123
METADATA = Metadata(
    user_id="alice", trace_id="a" * 32, retry_count=2, extra={"ключ": "значение", "empty": ""}
)


def fixed_id(now: datetime) -> str:
    """An id that is the same in every run."""
    return "01a20879-5ca9-7ec3-b636-3a302a2e0343"


def factory(catalog: Catalog | None = None) -> EventFactory:
    """A factory without clock and chance."""
    return EventFactory(catalog or Catalog.load(), "tests", clock=lambda: NOW, ids=fixed_id)


def file_processed() -> AnalysisFileProcessed:
    """Data of the newest version."""
    return AnalysisFileProcessed(
        analysis_id="a1",
        project_id="p1",
        path="schemas/event.py",
        lines=200,
        functions=30,
        classes=4,
        error=None,
        imports=12,
        complexity=17,
    )


def file_processed_by_an_old_producer() -> AnalysisFileProcessedV1_0:
    """The same in the version before."""
    return AnalysisFileProcessedV1_0(
        analysis_id="a1",
        project_id="p1",
        path="schemas/event.py",
        lines=200,
        functions=30,
        classes=4,
        error=None,
    )


def from_mapping(type_name: str, data: Mapping[str, Any], **details: Any) -> Event[Any]:
    """An event of any type."""
    return factory().create_from_mapping(type_name, data, **details)
