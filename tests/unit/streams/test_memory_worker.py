"""The worker in process gives what a worker on Kafka gives."""

import pytest

from examples.analysis.app import app
from examples.analysis.setup_workflow import PROFILES
from schemas.catalog import Catalog
from schemas.event import Event, EventFactory
from schemas.events.domain import SetupSessionStarted
from streams.bus.memory import MemoryBus
from streams.memory.log import MemoryLog
from streams.memory.worker import MemoryWorker


@pytest.fixture
def catalog() -> Catalog:
    return Catalog.load()


def _session(catalog: Catalog, profile: str) -> Event[SetupSessionStarted]:
    data = SetupSessionStarted(session_id="s-1", profile_id=profile, project_id="p-1")
    return EventFactory(catalog, "test").create(data, aggregate_id="s-1")


async def _course(catalog: Catalog, profile: str) -> list[str]:
    """The types that follow from a setup session, in the order of the log."""
    log = MemoryLog()
    bus = MemoryBus("test", log, catalog)
    await (await bus.publish(_session(catalog, profile)))
    await MemoryWorker(app, log, catalog).run_until_idle()
    events = await bus.get_events("s-1", aggregate_type="SetupSession")
    return [event.type for event in events]


async def test_a_known_profile_is_validated_installed_and_completed(catalog: Catalog) -> None:
    assert await _course(catalog, min(PROFILES)) == [
        "setup.session.started",
        "setup.step.validate.started",
        "setup.step.validate.completed",
        "setup.step.install.started",
        "setup.step.install.completed",
        "setup.session.completed",
    ]


async def test_an_unknown_profile_fails_the_workflow(catalog: Catalog) -> None:
    assert await _course(catalog, "cobol") == [
        "setup.session.started",
        "setup.step.validate.started",
        "setup.step.validate.completed",
        "setup.session.failed",
    ]


async def test_what_a_worker_emits_is_the_same_when_it_runs_again(catalog: Catalog) -> None:
    log = MemoryLog()
    bus = MemoryBus("test", log, catalog)
    await (await bus.publish(_session(catalog, "go")))
    await MemoryWorker(app, log, catalog).run_until_idle()
    first = {event.id for event in await bus.get_events("s-1")}
    await MemoryWorker(app, log, catalog).run_until_idle()
    assert {event.id for event in await bus.get_events("s-1")} == first


async def test_a_projection_counts_each_event_once_though_it_stands_in_the_log_twice(
    catalog: Catalog,
) -> None:
    log = MemoryLog()
    bus = MemoryBus("test", log, catalog)
    event = _session(catalog, "go")
    for _ in range(2):
        await (await bus.publish(event))
    worker = MemoryWorker(app, log, catalog)
    await worker.run_until_idle()
    (hour,) = worker.table("hourly-counts").values()
    assert hour["setup.session.started"] == 1


async def test_a_table_that_the_app_does_not_have_is_refused(catalog: Catalog) -> None:
    with pytest.raises(KeyError):
        MemoryWorker(app, MemoryLog(), catalog).table("nothing")
