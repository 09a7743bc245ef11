"""A course is put together from causes, headers, ids and offsets."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event, EventFactory
from schemas.events.plugin import PluginMetricRecorded
from streams.app import App
from streams.context import Context, Emitter
from streams.memory.log import MemoryLog
from streams.memory.sagas import MemorySagaStore
from streams.progress_evidence import Placed, groups_of, names_of, progress_sightings, row_sightings
from streams.projection import KeptIn
from streams.records import Origin
from streams.sagas.course import SagaSteps
from streams.sagas.handling import SagaHandling
from streams.timeline import Evidence, Sighting, Stage, emitter_of, timeline
from tests.unit.streams.silent_saga import SilentSaga

CATALOG = Catalog.load()
FACTORY = EventFactory(CATALOG, source="tests")
PLACE = Origin("events.plugin.low", 2, 40)


def metric(event_id: str, cause: str | None = None) -> Event[PluginMetricRecorded]:
    data = PluginMetricRecorded(plugin="p", metric="m", value=1.0, project_id=None)
    return FACTORY.create(data, id=event_id, causation_id=cause)


def test_effects_hang_below_their_causes() -> None:
    events = [metric("a"), metric("b", "a"), metric("c", "b"), metric("d", "a")]
    course = timeline(events, "c", Evidence())
    assert [(depth, it.event.id) for depth, it in course.occurrences()] == [
        (0, "a"),
        (1, "b"),
        (2, "c"),
        (1, "d"),
    ]


@pytest.mark.parametrize("cause", ["a", "b"])
def test_who_led_to_himself_is_there_once(cause: str) -> None:
    events = [metric("a", cause), metric("b", "a")]
    course = timeline(events, "a", Evidence())
    assert [it.event.id for _, it in course.occurrences()] == ["a", "b"]


def test_a_chain_of_thousands_of_events_is_followed_to_its_end() -> None:
    events = [metric("0"), *(metric(str(at), str(at - 1)) for at in range(1, 5_000))]
    found = [(depth, it.event.id) for depth, it in timeline(events, "0", Evidence()).occurrences()]
    assert found == [(at, str(at)) for at in range(5_000)]


def test_a_cause_that_is_not_stored_makes_its_effect_a_root() -> None:
    course = timeline([metric("a", "gone")], "a", Evidence())
    assert [it.event.id for it in course.roots] == ["a"]


def test_what_happened_is_in_order_of_time_and_what_has_no_time_comes_last() -> None:
    sightings = [
        Sighting(event_id="a", stage=Stage.HANDLED, subject="h"),
        Sighting(event_id="a", stage=Stage.STORED, subject="s", at_ms=20),
        Sighting(event_id="a", stage=Stage.PUBLISHED, subject="p", at_ms=10),
    ]
    (root,) = timeline([metric("a")], "a", Evidence(sightings=sightings)).roots
    assert [it.stage for it in root.sightings] == [Stage.PUBLISHED, Stage.STORED, Stage.HANDLED]


async def test_the_id_of_an_emitted_event_tells_its_handler() -> None:
    cause = metric("a")
    context = Context(cause, Emitter("team", "second", FACTORY))
    await context.publish(cause.data)
    emitted = await context.publish(cause.data)
    names = [("team", "first"), ("team", "second")]
    assert emitter_of(emitted, cause, names) == "team/second"
    assert emitter_of(emitted, cause, [("other", "second")]) is None
    assert emitter_of(cause, None, names) is None


class Committed:
    """An app with two subscriptions, and how far they are."""

    def __init__(self) -> None:
        self.app = App("team")
        self.app.on("plugin.*")(self.take)
        self.app.on("plugin.*", name="slow", subscription="mailer")(self.take)
        self.app.on("plugin.*", name="never", can_handle=lambda _: False)(self.take)
        self.app.projection("totals", on=("plugin.*",), initial=dict)(lambda state, _: state)
        self.offsets = {"team.main": {PLACE.source: 41}, "team.mailer": {PLACE.source: 40}}

    async def take(self, event: Event[Any], context: Context) -> None:
        """Does nothing."""

    def sightings(self, *failed: tuple[str, str, str]) -> dict[str, Stage]:
        placed = [Placed(metric("a"), PLACE)]
        found = progress_sightings(placed, [self.app], self.offsets, failed)
        return {it.subject: it.stage for it in found}


def test_a_committed_offset_behind_an_event_says_that_it_was_handled() -> None:
    assert Committed().sightings() == {
        "team.main/take": Stage.HANDLED,
        "team.main/totals": Stage.PROJECTED,
        "team.mailer/slow": Stage.PENDING,
    }


def test_what_is_parked_was_not_handled_although_the_offset_is_behind_it() -> None:
    assert "team.main/take" not in Committed().sightings(("a", "team.main", "take"))


def test_a_group_that_has_committed_nothing_has_not_come_to_it() -> None:
    team = Committed()
    team.offsets = {}
    assert set(team.sightings().values()) == {Stage.PENDING}


def test_a_predicate_that_raises_counts_as_taking_the_event() -> None:
    app = App("team")

    def broken(event: Event[Any]) -> bool:
        raise RuntimeError("broken")

    app.on("plugin.*", can_handle=broken)(Committed().take)
    offsets = {"team.main": {PLACE.source: 41}}
    (found,) = progress_sightings([Placed(metric("a"), PLACE)], [app], offsets)
    assert found.stage is Stage.HANDLED


def test_all_handlers_of_an_app_are_known_by_name() -> None:
    assert names_of([Committed().app]) == [("team", "take"), ("team", "never"), ("team", "slow")]


def test_a_saga_that_names_the_type_has_taken_it_once_its_group_is_past_it() -> None:
    app = App("team")

    app.add_saga(SilentSaga("setup", PluginMetricRecorded))
    offsets = {"team.saga-setup": {PLACE.source: 41}}
    found = progress_sightings([Placed(metric("a"), PLACE)], [app], offsets)
    assert [(it.subject, it.stage) for it in found] == [("team.saga-setup/saga-setup", Stage.SAGA)]
    assert "team.saga-setup" in groups_of([app])


def test_what_is_parked_was_not_taken_in_by_the_saga_whose_handler_failed() -> None:
    app = App("team")
    app.add_saga(SilentSaga("setup", PluginMetricRecorded))
    store = MemorySagaStore(MemoryLog(), CATALOG, Codec(CATALOG))
    (handler,) = SagaHandling(SagaSteps("team", app.sagas[0], FACTORY), store).handlers()
    failed = [("a", "team.saga-setup", handler.name)]
    offsets = {"team.saga-setup": {PLACE.source: 41}}
    found = progress_sightings([Placed(metric("a"), PLACE)], [app], offsets, failed)
    assert [it.stage for it in found] == []


def test_rows_hold_an_event_once_their_checkpoint_is_behind_it() -> None:
    app = App("team")
    for name, pattern in (("here", "plugin.*"), ("behind", "*"), ("other", "ui.*")):
        app.projection(name, on=(pattern,), initial=dict, kept_in=KeptIn.POSTGRES)(
            lambda state, _: state
        )
    archived = [Placed(metric("a"), Origin("store.events", 2, 40))]
    checkpoints = {("team", "here"): {2: 41}, ("team", "behind"): {1: 99}, ("team", "other"): {}}
    found = row_sightings(archived, [app], checkpoints)
    assert {it.subject: it.stage for it in found} == {
        "team/here": Stage.PROJECTED,
        "team/behind": Stage.PENDING,
    }
