"""What a producer could write to hurt a reader, and what a caller could pass to hurt a writer."""

import contextlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.envelope import Metadata
from schemas.errors import InvalidEventData, InvalidWriterSchema
from schemas.event import EventFactory
from schemas.events.domain import AnalysisFileProcessedV1_0, SetupSessionCompleted
from schemas.framing import frame

CATALOG = Catalog.load()
FACTORY = EventFactory(CATALOG, "tests")


def holding(kind: Callable[[str], Any]) -> str:
    """A composed schema whose data has one more field, which names the data record itself."""
    composed = CATALOG.writer_schema("analysis.started", "1.0.0").record()
    data = composed["fields"][-1]["type"]
    data["fields"].append({"name": "next", "type": kind(f"{data['namespace']}.{data['name']}")})
    return json.dumps(composed)


@pytest.mark.parametrize(
    "kind",
    [
        lambda name: ["null", name],
        lambda name: ["null", name.rpartition(".")[2]],
        lambda name: {"type": "array", "items": name},
        lambda name: {"type": "map", "values": ["null", name]},
        lambda name: {
            "type": "record",
            "name": "Inner",
            "fields": [{"name": "back", "type": ["null", name]}],
        },
    ],
)
def test_a_schema_that_holds_itself_is_never_learnt(kind: Callable[[str], Any]) -> None:
    """Its bytes could be nested so deep that the decoder's stack, and with it the process, ends."""
    with pytest.raises(InvalidWriterSchema, match="holds itself"):
        Codec(CATALOG).learn(holding(kind))


def learnt_with(*kinds: Any) -> None:
    """Learn a composed schema whose data have more fields, of these types."""
    composed = CATALOG.writer_schema("analysis.started", "1.0.0").record()
    composed["fields"][-1]["type"]["fields"] += [
        {"name": f"more{place}", "type": kind} for place, kind in enumerate(kinds)
    ]
    Codec(CATALOG).learn(json.dumps(composed))


def empty_record(name: str, *fields: Any) -> dict[str, Any]:
    """A record whose fields have these types."""
    named = [{"name": f"f{place}", "type": kind} for place, kind in enumerate(fields)]
    return {"type": "record", "name": name, "fields": named}


@pytest.mark.parametrize(
    "items",
    [
        "null",
        empty_record("Empty"),
        {"type": "fixed", "name": "None", "size": 0},
        empty_record("Outer", empty_record("Inner"), "null"),
    ],
)
def test_a_list_of_items_without_bytes_is_never_learnt(items: Any) -> None:
    """Ten bytes of an event could ask for 2^62 of them."""
    with pytest.raises(InvalidWriterSchema, match="take no bytes"):
        learnt_with({"type": "map", "values": {"type": "array", "items": items}})


def test_records_that_double_at_each_level_are_never_learnt() -> None:
    """Thirty short definitions describe a thousand million values, in no bytes at all."""
    kinds: list[Any] = [empty_record("D0")]
    kinds += [empty_record(f"D{level}", *[f"D{level - 1}"] * 2) for level in range(1, 30)]
    with pytest.raises(InvalidWriterSchema, match="more than 10000 values"):
        learnt_with(*kinds)


@pytest.mark.parametrize(
    "kind",
    [
        {"type": ["null", "int"]},
        {"type": {"type": "array", "items": "int"}},
        "nothing",
        {"type": "fixed", "name": "F", "size": "x"},
        {"type": "enum", "name": "E", "symbols": 3},
    ],
)
def test_a_type_that_avro_does_not_have_is_never_learnt(kind: Any) -> None:
    with pytest.raises(InvalidWriterSchema):
        learnt_with(kind)


@pytest.mark.parametrize("depth", [20, 60, 120])
def test_a_type_of_many_levels_is_learnt_or_refused(depth: int) -> None:
    kind: Any = "int"
    for level in range(depth):
        kind = empty_record(f"L{level}", ["null", {"type": "array", "items": kind}])
    with contextlib.suppress(InvalidWriterSchema):
        learnt_with(kind)


def test_a_version_that_another_release_wrote_otherwise_is_read_as_it_is_known_here() -> None:
    composed = CATALOG.writer_schema("setup.session.completed", "1.0.0").record()
    more = {"name": "more", "type": "int", "default": 0}
    composed["fields"][-1]["type"]["fields"].insert(0, more)
    codec = Codec(CATALOG)
    schema = codec.learn(json.dumps(composed))
    data = SetupSessionCompleted(session_id="s", project_id="p")
    written = codec.encode(FACTORY.create(data))
    offset = codec.view(written)._offset
    viewed = codec.view(frame(schema.id, written[5:offset] + b"\x54" + written[offset:]))
    assert viewed.data == data


def test_a_type_that_is_named_twice_side_by_side_is_learnt() -> None:
    composed = CATALOG.writer_schema("analysis.started", "1.0.0").record()
    place = {"type": "record", "name": "Place", "fields": [{"name": "x", "type": "int"}]}
    composed["fields"][-1]["type"]["fields"] += [
        {"name": "one", "type": place},
        {"name": "two", "type": "Place"},
    ]
    codec = Codec(CATALOG)
    assert codec.knows(codec.learn(json.dumps(composed)).id)


NO_RECORD = (
    '{"type":"record","name":"X","eventType":"a.b","schemaVersion":"1.0.0",'
    '"fields":[{"name":"data","type":"string"}]}'
)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "1", "null", '"x"', "[" * 100_000, '{"fields":[]}', NO_RECORD]
)
def test_what_is_no_composed_schema_is_never_learnt(text: str) -> None:
    with pytest.raises(InvalidWriterSchema):
        Codec(CATALOG).learn(text)


def test_a_viewed_event_of_an_older_version_is_encoded_as_it_was() -> None:
    codec = Codec(CATALOG)
    data = AnalysisFileProcessedV1_0(
        analysis_id="a", project_id="p", path="x.py", lines=1, functions=0, classes=0
    )
    written = codec.encode(FACTORY.create(data, aggregate_id="a:x.py"))
    assert codec.encode(codec.view(written)) == written


@pytest.mark.parametrize(
    ("metadata", "path"),
    [
        ({"user_id": 5}, "metadata.userId"),
        ({"trace_id": b"t"}, "metadata.traceId"),
        ({"trace_id": "\ud800"}, "metadata.traceId"),
        ({"retry_count": "1"}, "metadata.retryCount"),
        ({"retry_count": 1.5}, "metadata.retryCount"),
        ({"retry_count": True}, "metadata.retryCount"),
        ({"retry_count": 1 << 31}, "metadata.retryCount"),
        ({"extra": {"key": 1}}, "metadata.extra['key']"),
    ],
)
def test_metadata_that_does_not_fit_is_refused_by_its_path(
    metadata: dict[str, Any], path: str
) -> None:
    event = FACTORY.create(
        SetupSessionCompleted(session_id="s", project_id="p"), metadata=Metadata(**metadata)
    )
    with pytest.raises(InvalidEventData) as caught:
        Codec(CATALOG).encode(event)
    assert caught.value.path == path


@pytest.mark.parametrize("timestamp", [datetime(2026, 1, 1), datetime(1969, 12, 31, tzinfo=UTC)])  # noqa: DTZ001  # no zone on purpose
def test_a_time_that_no_event_can_have_is_refused(timestamp: datetime) -> None:
    with pytest.raises(InvalidEventData, match="timestamp"):
        FACTORY.create(SetupSessionCompleted(session_id="s", project_id="p"), timestamp=timestamp)


def test_an_event_made_of_a_mapping_has_typed_data() -> None:
    event = FACTORY.create_from_mapping(
        "setup.session.completed", {"sessionId": "s", "projectId": "p"}
    )
    assert event.data == SetupSessionCompleted(session_id="s", project_id="p")
    assert event.payload == {"sessionId": "s", "projectId": "p"}
