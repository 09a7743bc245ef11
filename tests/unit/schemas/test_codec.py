import contextlib
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_reader
from hypothesis import given
from hypothesis import strategies as st

from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.envelope import Envelope, Metadata
from schemas.errors import (
    EventTooLarge,
    InvalidEventData,
    InvalidWriterSchema,
    NotAnEvent,
    TruncatedEvent,
    UnknownEventType,
    UnknownSchemaId,
)
from schemas.event import Event
from schemas.events.domain import AnalysisFileProcessed
from schemas.events.system import SystemRunStarted
from schemas.framing import HEADER_SIZE, frame, schema_id_of
from tests.unit.schemas.samples import (
    METADATA,
    NOW,
    factory,
    file_processed,
    file_processed_by_an_old_producer,
)

CATALOG = Catalog.load()
CODEC = Codec(CATALOG)
EVENT = factory().create(
    file_processed(),
    aggregate_id="a1:schemas/event.py",
    correlation_id="run",
    causation_id="cause",
    metadata=METADATA,
)
VALUE = CODEC.encode(EVENT)


def test_what_is_encoded_is_viewed_again() -> None:
    viewed = CODEC.view(VALUE)
    assert viewed == EVENT
    assert viewed.data == EVENT.data
    assert viewed.framed == VALUE
    assert viewed.timestamp == NOW


def test_any_avro_reader_understands_the_bytes() -> None:
    schema = CATALOG.schema_ids()[schema_id_of(VALUE)]
    record: Any = schemaless_reader(
        io.BytesIO(VALUE[HEADER_SIZE:]), parse_schema(schema.record()), None
    )
    assert record["id"] == EVENT.id
    assert record["category"] == "domain"
    assert record["priority"] == "LOW"
    assert record["timestamp"] == NOW
    assert record["aggregate"]["type"] == "SourceFile"
    assert record["metadata"]["extra"] == METADATA.extra
    assert record["data"] == EVENT.payload


def test_the_data_waits_to_be_touched() -> None:
    viewed = CODEC.view(VALUE[:-1])
    assert viewed.id == EVENT.id
    with pytest.raises(TruncatedEvent):
        viewed.payload  # noqa: B018  # the touch is the point


def test_bytes_behind_the_data_are_refused() -> None:
    with pytest.raises(TruncatedEvent, match="1 bytes follow"):
        CODEC.view(VALUE + b"x").data  # noqa: B018  # the touch is the point


def test_an_older_class_is_written_in_its_own_version_and_read_in_the_newest() -> None:
    old = factory().create(file_processed_by_an_old_producer(), aggregate_id="x")
    value = CODEC.encode(old)
    assert schema_id_of(value) == CATALOG.writer_schema(old.type, "1.0.0").id
    viewed = CODEC.view(value)
    assert viewed.version == "1.0.0"
    assert isinstance(viewed.data, AnalysisFileProcessed)
    assert (viewed.data.imports, viewed.data.complexity) == (0, None)


def test_lists_come_back_as_the_class_has_them() -> None:
    data = SystemRunStarted(run_id="r", projects=("p1", "p2"), files=3)
    assert CODEC.view(CODEC.encode(factory().create(data))).data == data


@pytest.mark.parametrize("size", [*range(len(VALUE))])
def test_every_truncation_is_told_and_none_gives_a_wrong_event(size: int) -> None:
    with pytest.raises((NotAnEvent, TruncatedEvent)):
        CODEC.view(VALUE[:size]).data  # noqa: B018  # the touch is the point


@given(st.integers(min_value=HEADER_SIZE, max_value=len(VALUE) - 1), st.integers(1, 255))
def test_damage_gives_an_event_or_a_typed_error(place: int, change: int) -> None:
    damaged = bytearray(VALUE)
    damaged[place] ^= change
    with contextlib.suppress(TruncatedEvent):
        viewed = CODEC.view(bytes(damaged))
        assert isinstance(viewed.envelope, Envelope)
        assert viewed.timestamp.year > 0
        assert viewed.data is not None


@given(st.binary(max_size=200))
def test_random_bytes_behind_a_known_id_never_break_the_reader(body: bytes) -> None:
    with contextlib.suppress(TruncatedEvent):
        CODEC.view(frame(schema_id_of(VALUE), body)).data  # noqa: B018  # the touch is the point


def test_an_unknown_schema_id_is_named() -> None:
    with pytest.raises(UnknownSchemaId) as refused:
        CODEC.view(frame(77, b"body"))
    assert refused.value.schema_id == 77
    assert not CODEC.knows(77)
    assert CODEC.knows(schema_id_of(VALUE))


def test_other_bytes_are_no_event() -> None:
    with pytest.raises(NotAnEvent):
        CODEC.view(b'{"json": true}')


def changed(**fields: Any) -> Event[Any]:
    """An event whose data was given by a caller who does not check types."""
    wire = {**file_processed().to_wire(), **fields}
    return Event(EVENT.envelope, wire)


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("lines", "many", "whole number, got str"),
        ("lines", 1.5, "whole number, got float"),
        ("lines", True, "whole number, got bool"),
        ("lines", 1 << 31, "outside of 32 bits"),
        ("path", None, "string, got NoneType"),
        ("path", "\ud800", "surrogate"),
        ("error", 7, "string, got int"),
        ("surprise", 1, "not a field"),
    ],
)
def test_data_that_does_not_fit_is_refused_by_its_path(
    field: str, value: Any, problem: str
) -> None:
    with pytest.raises(InvalidEventData, match=problem) as refused:
        CODEC.encode(changed(**{field: value}))
    assert refused.value.path == f"data.{field}"


def test_the_path_of_a_misfit_in_a_list_has_its_index() -> None:
    wrong: Any = ("p1", 2)
    event = factory().create(SystemRunStarted(run_id="r", projects=wrong, files=1))
    with pytest.raises(InvalidEventData) as refused:
        CODEC.encode(event)
    assert refused.value.path == "data.projects[1]"


def test_a_missing_field_is_named() -> None:
    wire = file_processed().to_wire()
    del wire["path"]
    with pytest.raises(InvalidEventData, match="is missing") as refused:
        CODEC.encode(Event(EVENT.envelope, wire))
    assert refused.value.path == "data.path"


@pytest.mark.parametrize(
    ("envelope", "path"),
    [
        (EVENT.envelope._replace(correlation_id="\ud800"), "correlationId"),
        (EVENT.envelope._replace(timestamp_ms=1 << 63), "timestamp"),
        (EVENT.envelope._replace(metadata=Metadata(retry_count=1 << 31)), "metadata.retryCount"),
        (EVENT.envelope._replace(metadata=Metadata(extra={"k": "\ud800"})), "metadata.extra['k']"),
    ],
)
def test_an_envelope_that_does_not_fit_is_refused_by_its_path(
    envelope: Envelope, path: str
) -> None:
    with pytest.raises(InvalidEventData) as refused:
        CODEC.encode(Event(envelope, EVENT.data))
    assert refused.value.path == path


def test_an_event_of_an_unknown_type_is_not_encoded() -> None:
    with pytest.raises(UnknownEventType):
        CODEC.encode(Event(EVENT.envelope._replace(type="no.such.type"), {}))


def test_an_oversized_event_is_refused_with_size_and_limit() -> None:
    small = Codec(CATALOG, max_event_bytes=len(VALUE) - 1)
    with pytest.raises(EventTooLarge) as refused:
        small.encode(EVENT)
    assert (refused.value.size, refused.value.limit) == (len(VALUE), len(VALUE) - 1)
    assert Codec(CATALOG, max_event_bytes=len(VALUE)).encode(EVENT) == VALUE


def test_a_value_is_never_part_of_an_error_text() -> None:
    with pytest.raises(InvalidEventData) as refused:
        CODEC.encode(changed(lines="secret"))
    assert "secret" not in refused.value.message


@pytest.mark.parametrize("text", ["", "[]", '"string"', "{}", '{"type":"record","fields":[]}'])
def test_a_text_that_is_no_composed_schema_is_not_learnt(text: str) -> None:
    with pytest.raises(InvalidWriterSchema):
        CODEC.learn(text)


def test_a_viewed_event_is_encoded_as_it_was_read() -> None:
    old = factory().create(file_processed_by_an_old_producer(), aggregate_id="x")
    value = CODEC.encode(old)
    assert CODEC.encode(CODEC.view(value)) == value
    with pytest.raises(EventTooLarge):
        Codec(CATALOG, max_event_bytes=10).encode(CODEC.view(value))


@pytest.mark.parametrize("retry_count", ["x", 1.5, True])
def test_a_retry_count_that_is_no_whole_number_is_refused(retry_count: Any) -> None:
    envelope = EVENT.envelope._replace(metadata=Metadata(retry_count=retry_count))
    with pytest.raises(InvalidEventData) as refused:
        CODEC.encode(Event(envelope, EVENT.data))
    assert refused.value.path == "metadata.retryCount"


@pytest.mark.parametrize(
    "wrap",
    [
        lambda name: ["null", name],
        lambda name: {"type": "array", "items": name},
        lambda name: {"type": "map", "values": ["null", name]},
    ],
)
def test_a_record_that_holds_itself_is_not_learnt(wrap: Callable[[str], Any]) -> None:
    composed = CATALOG.writer_schema("analysis.started", "1.0.0").record()
    data = composed["fields"][-1]["type"]
    data["fields"].append({"name": "next", "type": wrap("AnalysisStarted")})
    with pytest.raises(InvalidWriterSchema, match="holds itself"):
        Codec(CATALOG).learn(json.dumps(composed))


def test_a_text_of_endless_depth_is_not_learnt() -> None:
    with pytest.raises(InvalidWriterSchema):
        CODEC.learn("[" * 100_000)
