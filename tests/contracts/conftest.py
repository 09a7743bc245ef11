"""Both logs behind the same fixtures."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from schemas.catalog import PACKAGED, Catalog
from schemas.errors import WundrError
from schemas.event import Event, EventFactory
from schemas.topics import SCHEMAS_TOPIC, all_events_topics
from streams.bus.log_bus import LogBus
from tests.contracts.rigs import PARTITIONS, BusRig, KafkaRig, MemoryRig, create_topics, unique

OpenBus = Callable[..., Awaitable[LogBus]]


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    """The packaged event types."""
    return Catalog.load()


@pytest.fixture(scope="session")
def older_catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """The event types before `analysis.file.processed` 1.1.0 and `plugin.*` existed."""
    root: Path = tmp_path_factory.mktemp("older") / "avro"
    shutil.copytree(PACKAGED, root)
    (root / "domain" / "analysis.file.processed" / "1.1.0.avsc").unlink()
    shutil.rmtree(root / "plugin")
    return Catalog.load(root)


@pytest.fixture
def correlation_id() -> str:
    """The correlation of all events of one test."""
    return unique("c")


@pytest.fixture
def factory(catalog: Catalog) -> EventFactory:
    """Makes events."""
    return EventFactory(catalog, "contract")


@pytest.fixture
def synced(factory: EventFactory, correlation_id: str) -> Callable[..., Event[Any]]:
    """Make an `integration.repository.synced` of the test's correlation."""

    def make(repository: str = "r1", files: int = 1, **context: Any) -> Event[Any]:
        data = {"repository": repository, "projectId": "p1", "files": files, "bytes": 10}
        return factory.create_from_mapping(
            "integration.repository.synced",
            data,
            aggregate_id=repository,
            correlation_id=correlation_id,
            **context,
        )

    return make


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
def rig(request: pytest.FixtureRequest, catalog: Catalog) -> BusRig:
    """A log and what makes buses over it."""
    if request.param == "memory":
        return MemoryRig(catalog)
    bootstrap: str = request.getfixturevalue("kafka_bootstrap")
    create_topics(bootstrap, [SCHEMAS_TOPIC], 1)
    create_topics(bootstrap, all_events_topics(), PARTITIONS)
    return KafkaRig(bootstrap, catalog)


@pytest.fixture
async def open_bus(rig: BusRig) -> AsyncIterator[OpenBus]:
    """Open buses that are closed after the test."""
    buses: list[LogBus] = []

    async def open_one(app: str, catalog: Catalog | None = None) -> LogBus:
        bus = await rig.open(app, catalog)
        buses.append(bus)
        return bus

    yield open_one
    faults: list[WundrError] = []
    for bus in buses:
        try:
            await bus.close()
        except WundrError as fault:
            faults.append(fault)
    assert faults == []
