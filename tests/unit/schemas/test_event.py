from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

import pytest

from schemas.catalog import Catalog
from schemas.envelope import Aggregate, Category, Metadata, Priority
from schemas.errors import InvalidEventData, UnknownEventType, UnknownSchemaVersion
from schemas.event import Event, EventFactory
from schemas.event_data import EventData
from schemas.events.domain import AnalysisFileProcessed, AnalysisStarted
from schemas.events.system import SystemWorkerStarted
from schemas.identity import uuid7
from tests.unit.schemas.samples import NOW, NOW_MS, factory, file_processed, fixed_id

STARTED = AnalysisStarted(analysis_id="a1", project_id="p1", package="json", files=3, root="/src")


def test_the_catalog_fills_in_what_the_data_class_does_not_say() -> None:
    event = factory().create(STARTED)
    assert event.type == "analysis.started"
    assert event.version == "1.0.0"
    assert (event.category, event.priority) == (Category.DOMAIN, Priority.HIGH)
    assert event.topic == "events.domain.high"
    assert event.source == "tests"
    assert event.framed is None


def test_time_is_kept_to_the_millisecond() -> None:
    event = factory().create(STARTED, timestamp=NOW + timedelta(microseconds=999))
    assert event.timestamp == NOW
    assert event.timestamp_ms == NOW_MS


def test_an_event_without_correlation_begins_one() -> None:
    event = factory().create(STARTED)
    assert event.correlation_id == event.id == fixed_id(NOW)
    assert event.causation_id is None


def test_what_is_given_is_kept() -> None:
    event = factory().create(
        STARTED,
        id=uuid7(0, bytes(10)),
        correlation_id="run",
        causation_id="cause",
        metadata=Metadata(user_id="alice"),
    )
    assert event.id == uuid7(0, bytes(10))
    assert (event.correlation_id, event.causation_id) == ("run", "cause")
    assert event.metadata.user_id == "alice"


def test_events_of_one_aggregate_share_a_key() -> None:
    event = factory().create(STARTED, aggregate_id="a1")
    assert event.aggregate == Aggregate("Analysis", "a1")
    assert event.key == "Analysis/a1"


def test_the_aggregate_id_is_taken_from_the_key_field_of_the_type() -> None:
    assert factory().create(STARTED).key == "Analysis/a1"


def test_an_aggregate_id_that_no_field_holds_must_be_given() -> None:
    with pytest.raises(InvalidEventData) as refused:
        factory().create(file_processed())
    assert refused.value.path == "aggregate.id"


def test_an_event_without_aggregate_is_keyed_by_its_id() -> None:
    event = factory().create(SystemWorkerStarted(process="sink", host="h", pid=1))
    assert event.aggregate is None
    assert event.key == event.id


def test_an_aggregate_id_for_a_type_without_aggregate_is_refused() -> None:
    worker = SystemWorkerStarted(process="sink", host="h", pid=1)
    with pytest.raises(InvalidEventData, match=r"system\.worker\.started has no aggregate"):
        factory().create(worker, aggregate_id="x")


def test_payload_is_the_data_as_on_the_wire() -> None:
    assert factory().create(STARTED).payload == {
        "analysisId": "a1",
        "projectId": "p1",
        "package": "json",
        "files": 3,
        "root": "/src",
    }


def test_a_type_that_the_catalog_does_not_have_is_refused() -> None:
    empty = EventFactory(Catalog([]), "tests")
    with pytest.raises(UnknownEventType, match=r"analysis\.started"):
        empty.create(STARTED)
    with pytest.raises(UnknownEventType, match="no such type"):
        factory().create_from_mapping("no such type", {})


def test_an_event_from_a_mapping_takes_the_latest_version_and_its_defaults() -> None:
    data = {"analysisId": "a1", "projectId": "p1", "path": "x", "lines": 1, "functions": 0}
    event = factory().create_from_mapping(
        "analysis.file.processed", data | {"classes": 0}, aggregate_id="a1:x"
    )
    assert event.version == "1.1.0"
    assert isinstance(event.data, AnalysisFileProcessed)
    assert event.payload["imports"] == 0
    assert event.payload["complexity"] is None


def test_an_event_from_a_mapping_may_name_an_older_version() -> None:
    data = {"analysisId": "a", "projectId": "p", "path": "x", "lines": 1, "functions": 0}
    event = factory().create_from_mapping(
        "analysis.file.processed", data | {"classes": 0}, version="1.0.0", aggregate_id="x"
    )
    assert event.version == "1.0.0"
    assert "imports" not in event.payload
    with pytest.raises(UnknownSchemaVersion):
        factory().create_from_mapping("analysis.file.processed", data, version="9.0.0")


def test_events_with_equal_content_are_equal_and_hash_alike() -> None:
    one, other = factory().create(STARTED), factory().create(STARTED)
    assert one == other
    assert len({one, other}) == 1
    assert one != factory().create(STARTED, correlation_id="run")
    assert one != "an event"


def test_an_event_shows_no_data_in_logs() -> None:
    shown = repr(factory().create(STARTED))
    assert "analysis.started" in shown
    assert "/src" not in shown


def test_events_cannot_be_changed() -> None:
    event: Any = factory().create(STARTED)
    for name in ("id", "data", "payload", "timestamp", "anything"):
        with pytest.raises(AttributeError):
            setattr(event, name, "changed")


def test_default_ids_differ_and_hold_the_time() -> None:
    events = [EventFactory(Catalog.load(), "tests").create(STARTED) for _ in range(3)]
    assert len({event.id for event in events}) == 3
    assert all(event.timestamp.tzinfo is UTC for event in events)


@pytest.mark.parametrize(
    "timestamp",
    [
        datetime(2026, 1, 1),  # noqa: DTZ001  # the point
        datetime(1969, 12, 31, tzinfo=UTC),
    ],
)
def test_a_time_without_zone_or_before_1970_is_refused_by_name(timestamp: datetime) -> None:
    with pytest.raises(InvalidEventData) as refused:
        factory().create(STARTED, timestamp=timestamp)
    assert refused.value.path == "timestamp"


def test_types_of_data_are_known_to_the_type_checker() -> None:
    event = factory().create(file_processed(), aggregate_id="x")
    assert_type(event, Event[AnalysisFileProcessed])
    assert_type(event.data, AnalysisFileProcessed)
    assert_type(event.data.complexity, int | None)
    widened: Event[EventData] = event
    assert widened.data is event.data
