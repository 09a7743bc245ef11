import json
from typing import Any

import pytest

from schemas.broadcast import broadcast_topic, browser_body, rooms
from schemas.catalog import Catalog
from schemas.envelope import Metadata
from schemas.errors import UnknownRoom
from schemas.event import Event
from tests.unit.schemas.samples import factory, file_processed, from_mapping

CATALOG = Catalog.load()


def rooms_of(event: Event[Any]) -> tuple[str, ...]:
    return rooms(event, CATALOG.get(event.type))


def session(user: str | None, metadata: Metadata | None = None) -> Event[Any]:
    data = {"sessionId": "s", "profileId": "python", "projectId": "p1", "userId": user}
    return from_mapping("setup.session.started", data, metadata=metadata or Metadata())


def test_a_project_event_is_seen_in_the_room_of_its_project() -> None:
    assert rooms_of(factory().create(file_processed(), aggregate_id="x")) == ("project.p1",)


def test_a_system_event_is_seen_in_the_room_system() -> None:
    data = {"runId": "r", "projects": ["p1"], "files": 1}
    assert rooms_of(from_mapping("system.run.started", data)) == ("system",)


def test_a_user_event_is_seen_by_the_user_of_its_data_before_that_of_its_metadata() -> None:
    assert rooms_of(session("alice")) == ("project.p1", "user.alice")
    assert rooms_of(session(None, Metadata(user_id="bob"))) == ("project.p1", "user.bob")
    assert rooms_of(session("alice", Metadata(user_id="bob"))) == ("project.p1", "user.alice")


def test_a_rule_whose_value_is_absent_gives_no_room() -> None:
    assert rooms_of(session(None)) == ("project.p1",)


def test_a_type_without_broadcast_is_never_seen() -> None:
    data = {"plugin": "x", "metric": "m", "value": 1.0, "projectId": "p1"}
    assert rooms_of(from_mapping("plugin.metric.recorded", data)) == ()


def test_each_room_has_its_topic() -> None:
    assert broadcast_topic("system") == "broadcast.system"
    assert broadcast_topic("project.p1.with.dots") == "broadcast.project"
    assert broadcast_topic("user.alice") == "broadcast.user"


@pytest.mark.parametrize("room", ["", "admin", "project", "project.", "system.x", "users.alice"])
def test_what_is_no_room_has_no_topic(room: str) -> None:
    with pytest.raises(UnknownRoom):
        broadcast_topic(room)


def test_a_browser_sees_the_allowed_fields_and_an_iso_time() -> None:
    event = session("alice")
    body = browser_body(event, CATALOG.get(event.type))
    assert body == {
        "id": event.id,
        "type": "setup.session.started",
        "data": {"sessionId": "s", "profileId": "python", "projectId": "p1"},
        "timestamp": "2026-11-23T14:05:00.123Z",
    }


def test_no_type_shows_a_personal_field() -> None:
    for known in CATALOG.types():
        shown = set(known.broadcast.fields) if known.broadcast else set()
        assert not shown & set(known.personal), known.name


def test_what_a_browser_sees_fits_json() -> None:
    event = factory().create(file_processed(), aggregate_id="x")
    body = browser_body(event, CATALOG.get(event.type))
    assert json.loads(json.dumps(body)) == body
