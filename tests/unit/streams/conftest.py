"""Events, records and processors without a broker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event, EventFactory
from tests.unit.streams.bench import NOW, Bench
from tests.unit.streams.parked import Parked


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    """The packaged event types."""
    return Catalog.load()


@pytest.fixture(scope="session")
def codec(catalog: Catalog) -> Codec:
    """The codec of the packaged event types."""
    return Codec(catalog)


@pytest.fixture(scope="session")
def factory(catalog: Catalog) -> EventFactory:
    """Makes events at a fixed time."""
    return EventFactory(catalog, "test", clock=lambda: NOW)


@pytest.fixture
def bench(catalog: Catalog, codec: Codec, factory: EventFactory) -> Bench:
    """A fresh log and what works on it."""
    return Bench(catalog=catalog, codec=codec, factory=factory)


@pytest.fixture
def started(factory: EventFactory) -> Callable[..., Event[Any]]:
    """Make an `analysis.started` of an analysis."""

    def make(analysis_id: str = "a1", **context: Any) -> Event[Any]:
        data = {
            "analysisId": analysis_id,
            "projectId": "p1",
            "package": "json",
            "files": 3,
            "root": "lib",
        }
        return factory.create_from_mapping(
            "analysis.started", data, aggregate_id=analysis_id, **context
        )

    return make


@pytest.fixture
def parked(bench: Bench, started: Callable[..., Event[Any]]) -> Parked:
    """A partition whose events fail."""
    return Parked(bench, started)
