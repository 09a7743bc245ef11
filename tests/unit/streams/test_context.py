"""What a handler emits: derived, held back, and never lost in silence."""

import pytest

from schemas.catalog import Catalog
from schemas.event import Event, EventFactory
from schemas.events.ui import UiDashboardOpened
from streams.context import Context, Emitter
from streams.errors import HandlerReturned

FACTORY = EventFactory(Catalog.load(), "test")
CAUSE = FACTORY.create(UiDashboardOpened(project_id="p", user_id="u"))


def context(handler: str = "notify") -> Context:
    return Context(CAUSE, Emitter("team", handler, FACTORY))


async def emitted(handler: str = "notify") -> list[Event[UiDashboardOpened]]:
    """Two events of one try."""
    trying = context(handler)
    return [await trying.publish(UiDashboardOpened(project_id="q", user_id=None)) for _ in range(2)]


async def test_the_same_handler_emits_the_same_ids_again() -> None:
    assert [event.id for event in await emitted()] == [event.id for event in await emitted()]


async def test_each_event_and_each_handler_has_ids_of_its_own() -> None:
    ids = [event.id for handler in ("notify", "count") for event in await emitted(handler)]
    assert len(set(ids)) == 4


async def test_an_emitted_event_names_its_cause_and_keeps_its_correlation_and_time() -> None:
    event, _ = await emitted()
    assert event.causation_id == CAUSE.id
    assert event.correlation_id == CAUSE.correlation_id
    assert event.timestamp == CAUSE.timestamp


async def test_an_event_that_is_emitted_too_late_is_refused() -> None:
    trying = context()
    await trying.publish(UiDashboardOpened(project_id="q", user_id=None))
    assert len(trying.finish()) == 1
    with pytest.raises(HandlerReturned, match="notify"):
        await trying.publish(UiDashboardOpened(project_id="q", user_id=None))
