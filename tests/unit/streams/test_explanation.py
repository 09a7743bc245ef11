"""An explanation names where events go and why."""

from __future__ import annotations

import pytest

from examples.analysis.app import app as analysis
from schemas.catalog import Catalog
from schemas.errors import UnknownEventType
from schemas.events.domain import SetupSessionStarted
from streams.app import App
from streams.explanation import Fact, explain
from streams.projection import KeptIn
from tests.unit.schemas.order_majors import PLACED, order_majors
from tests.unit.streams.silent_saga import SilentSaga

CATALOG = Catalog.load()


def facts(event_type: str, *apps: App, catalog: Catalog = CATALOG) -> dict[str, list[Fact]]:
    found: dict[str, list[Fact]] = {}
    for fact in explain(catalog, event_type, apps):
        found.setdefault(fact.topic, []).append(fact)
    return found


def whats(found: list[Fact]) -> list[str]:
    return [fact.what for fact in found]


@pytest.mark.parametrize("event_type", [known.name for known in CATALOG.types()])
def test_every_type_has_a_category_a_topic_a_key_a_schema_and_a_sink(event_type: str) -> None:
    found = facts(event_type, analysis)
    known = CATALOG.get(event_type)
    assert whats(found["category"]) == [known.category.value]
    assert whats(found["topic"]) == [known.topic]
    assert len(found["schema"]) == len(known.versions)
    assert {"key", "partition", "priority", "sink", "rooms"} <= found.keys()


def test_an_appended_type_is_said_to_be_written_by_append() -> None:
    assert whats(facts("analysis.completed")["written by"]) == ["append(), then the relay"]
    assert whats(facts("analysis.file.processed")["written by"]) == ["publish()"]


def test_handlers_are_named_with_their_pattern_and_whether_they_may_decline() -> None:
    handlers = {it.what: it.why for it in facts("analysis.completed", analysis)["handler"]}
    assert handlers["analysis.main/notify"] == "its pattern is analysis.completed"
    assert "may decline" in handlers["analysis.main/record_metric"]


def test_projections_say_where_they_are_kept_and_how_they_are_keyed() -> None:
    app = App("team")
    for name, options in (
        ("plain", {}),
        ("keyed", {"key": lambda event: "k"}),
        ("rows", {"kept_in": KeptIn.POSTGRES}),
    ):
        app.projection(name, on=("analysis.*",), initial=dict, **options)(lambda state, _: state)
    plain, keyed, rows = facts("analysis.completed", app)["projection"]
    assert "keyed as the record is" in plain.why
    assert "repartition.team.keyed" in keyed.why
    assert "rows in Postgres" in rows.what


def test_an_app_that_does_not_take_the_type_is_not_named() -> None:
    assert (
        not {"handler", "projection", "failures"} & facts("ui.dashboard.opened", App("none")).keys()
    )


def test_a_saga_is_named_by_the_types_that_it_names() -> None:
    app = App("team")

    app.add_saga(SilentSaga("setup", SetupSessionStarted))
    assert whats(facts("setup.session.started", app)["saga"]) == ["team.saga-setup/saga-setup"]
    assert "saga" not in facts("setup.session.failed", app)


def test_personal_fields_and_upcasts_are_named() -> None:
    assert whats(facts(PLACED, catalog=order_majors())["upcast"]) == ["1 to 2", "2 to 3"]
    personal = next(known for known in CATALOG.types() if known.personal)
    assert whats(facts(personal.name)["personal"]) == [", ".join(personal.personal)]


def test_a_type_that_no_browser_sees_has_no_rooms() -> None:
    hidden = next(known for known in CATALOG.types() if known.broadcast is None)
    assert whats(facts(hidden.name)["rooms"]) == ["none"]


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(UnknownEventType):
        facts("analysis.exploded")
