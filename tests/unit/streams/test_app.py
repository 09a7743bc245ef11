"""What an app collects, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from schemas.catalog import Catalog
from schemas.errors import InvalidPattern
from schemas.event import Event
from schemas.events.domain import AnalysisCompleted, AnalysisStarted
from schemas.topics import LARGEST_COPY
from streams.app import App
from streams.context import Context
from streams.errors import DuplicateName, HandlerMismatch
from streams.projection import KeptIn


async def on_started(event: Event[AnalysisStarted], context: Context) -> None:
    """A typed handler."""


async def on_any(event: Event[Any], context: Context) -> None:
    """A handler of whatever comes."""


def test_a_handler_is_registered_by_type_class_prefix_or_star() -> None:
    app = App("team")
    app.on("analysis.started", name="by-type")(on_started)
    app.on(AnalysisStarted, name="by-class")(on_started)
    app.on("analysis.*", name="by-prefix")(on_any)
    app.on("*", name="by-star")(on_any)
    patterns = {handler.name: handler.pattern for handler in app.handlers}
    assert patterns == {
        "by-type": "analysis.started",
        "by-class": "analysis.started",
        "by-prefix": "analysis.*",
        "by-star": "*",
    }


def test_handlers_run_in_their_order_then_as_registered() -> None:
    app = App("team")
    for name, order in (("c", 5), ("a", 0), ("b", 0), ("first", -1)):
        app.on("*", name=name, order=order)(on_any)
    assert [handler.name for handler in app.handlers] == ["first", "a", "b", "c"]


def test_the_name_of_a_handler_defaults_to_its_function() -> None:
    app = App("team")
    app.on("*")(on_any)
    assert app.handlers[0].name == "on_any"


def test_a_handler_whose_annotation_its_pattern_never_delivers_is_refused() -> None:
    with pytest.raises(HandlerMismatch, match=r"analysis\.started.*analysis\.completed"):
        App("team").on(AnalysisCompleted)(on_started)


def test_a_pattern_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidPattern):
        App("team").on("analysis.*.done")


def test_a_name_is_used_once_among_handlers_and_once_among_projections() -> None:
    app = App("team")
    app.on("*")(on_any)
    with pytest.raises(DuplicateName):
        app.on("analysis.*")(on_any)
    app.projection("totals", on=("*",), initial=dict)(lambda state, _: state)
    with pytest.raises(DuplicateName):
        app.projection("totals", on=("*",), initial=dict)(lambda state, _: state)


def test_an_app_wants_what_its_handlers_or_projections_take() -> None:
    app = App("team")
    app.on("analysis.*")(on_any)
    app.projection("runs", on=("system.run.started",), initial=dict)(lambda state, _: state)
    assert app.workload().wants("analysis.file.processed")
    assert app.workload().wants("system.run.started")
    assert not app.workload().wants("system.run.completed")


def test_only_topics_in_which_wanted_types_occur_are_read(catalog: Catalog) -> None:
    app = App("team")
    app.on("analysis.*")(on_any)
    app.projection("runs", on=("system.run.started",), initial=dict)(lambda state, _: state)
    assert app.workload().event_topics(catalog) == (
        "events.domain.high",
        "events.domain.low",
        "events.system.critical",
    )


def test_the_topics_of_an_app_cover_failures_rekeying_and_changelogs() -> None:
    app = App("team")
    app.projection("plain", on=("*",), initial=dict)(lambda state, _: state)
    app.projection("keyed", on=("*",), initial=dict, key=lambda event: event.id)(
        lambda state, _: state
    )
    specs = {spec.name: spec for spec in app.topic_specs(6)}
    assert set(specs) == {
        "retry.team",
        "dlq.team",
        "repartition.team.keyed",
        "team.main-plain-changelog",
        "team.main-keyed-changelog",
    }
    assert {spec.partitions for spec in specs.values()} == {6}
    assert specs["team.main-plain-changelog"].config["cleanup.policy"] == "compact"
    assert {spec.config["max.message.bytes"] for spec in specs.values()} == {str(LARGEST_COPY)}


def test_a_projection_in_postgres_needs_no_topic_and_no_worker() -> None:
    app = App("team")
    app.on("analysis.started", name="mail", subscription="mailer")(on_started)
    app.projection("rows", on=("*",), initial=dict, kept_in=KeptIn.POSTGRES, revision=2)(
        lambda state, _event: state
    )
    assert app.subscriptions() == ("mailer",)
    assert app.workload().projections == ()
    assert not [spec for spec in app.topic_specs(4) if "rows" in spec.name]
    (rows,) = app.projections_in(KeptIn.POSTGRES)
    assert (rows.revision, app.projections_in(KeptIn.TABLE)) == (2, ())


def test_a_projection_has_the_key_of_its_function_or_that_of_the_event(
    started: Callable[..., Event[Any]],
) -> None:
    app = App("team")
    app.projection("own", on=("*",), initial=dict)(lambda state, _event: state)
    app.projection("by-type", on=("*",), initial=dict, key=lambda event: event.type)(
        lambda state, _event: state
    )
    event = started("a1")
    assert [it.key_of(event) for it in app.projections] == [event.key, "analysis.started"]
