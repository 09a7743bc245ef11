from datetime import UTC, datetime

import pytest
import typer

from examples.analysis.aggregate import Analysis
from examples.analysis.decider import ANALYSIS, AnalysisState
from infra.commands.store_show import Target, model_of, state_mapping, target_of
from schemas.catalog import Catalog
from schemas.envelope import Aggregate
from schemas.event import Event, EventFactory
from schemas.events.system import SystemWorkerStarted
from streams.aggregate import RootModel

EVENT = EventFactory(Catalog.load(), "tests").create(
    SystemWorkerStarted(process="p", host="h", pid=1), timestamp=datetime(2026, 1, 2, tzinfo=UTC)
)


@pytest.mark.parametrize(
    ("at", "target"),
    [
        (None, Target()),
        ("7", Target(version=7)),
        ("2026-01-02", Target(time=datetime(2026, 1, 2, tzinfo=UTC))),
        ("2026-01-02T03:04:05+00:00", Target(time=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))),
    ],
)
def test_a_target_is_a_version_or_a_time(at: str | None, target: Target) -> None:
    assert target_of(at) == target


@pytest.mark.parametrize("at", ["", "0", "-1", "yesterday"])
def test_what_is_neither_is_refused(at: str) -> None:
    with pytest.raises(typer.BadParameter, match="neither a version nor a time"):
        target_of(at)


def test_a_target_holds_what_was_there_then() -> None:
    assert Target().holds(EVENT)
    assert Target(time=EVENT.timestamp).holds(EVENT)
    assert not Target(time=datetime(2026, 1, 1, tzinfo=UTC)).holds(EVENT)
    aggregate = Aggregate("A", "a", version=3)
    third = Event(EVENT.envelope._replace(aggregate=aggregate), EVENT.data)
    assert Target(version=3).holds(third)
    assert not Target(version=2).holds(third)


def test_a_model_is_found_by_its_import_path_in_either_form() -> None:
    assert model_of("examples.analysis.decider:ANALYSIS", "Analysis") is ANALYSIS
    assert isinstance(model_of("examples.analysis.aggregate:Analysis", "Analysis"), RootModel)


@pytest.mark.parametrize(
    "path",
    [
        "examples.analysis.nowhere:ANALYSIS",
        "examples.analysis.decider:NOTHING",
        "examples.analysis.decider:decide",
        "",
    ],
)
def test_an_import_path_that_leads_to_no_model_is_refused(path: str) -> None:
    with pytest.raises(typer.BadParameter, match="--model"):
        model_of(path, "Analysis")


def test_a_model_of_another_type_is_refused() -> None:
    with pytest.raises(typer.BadParameter, match="no Decider or AggregateRoot Order"):
        model_of("examples.analysis.decider:ANALYSIS", "Order")


def test_states_of_both_forms_can_be_shown() -> None:
    assert state_mapping(AnalysisState(package="json"))["package"] == "json"
    assert state_mapping(Analysis("a-1")) == {"id": "a-1", "version": 0}
    assert state_mapping({"n": 1}) == {"n": 1}
    assert state_mapping(None) is None
