"""The generated envelope reader against fastavro, over envelopes that people would not think of."""

from collections.abc import Mapping
from io import BytesIO
from typing import Any, Final

import pytest
from fastavro import parse_schema, schemaless_reader, schemaless_writer
from hypothesis import given
from hypothesis import strategies as st

from schemas.catalog import Catalog
from schemas.envelope import NO_METADATA, Aggregate, Category, Envelope, Metadata, Priority
from schemas.errors import InvalidWriterSchema, TruncatedEvent
from schemas.prefix_reader import read_time
from schemas.varint import write_long
from tests.unit.schemas.readings import READINGS, Reading

COMPOSED: Final = Catalog.load().writer_schema("system.run.started", "1.0.0").record()
READ: Final = {reading: reading.prefix(COMPOSED) for reading in READINGS}
DATA: Final = {"runId": "r", "projects": ["p"], "files": 1}
FIRST_MS: Final = -62_135_596_800_000
LAST_MS: Final = 253_402_300_799_999
PLAIN: Final = Envelope(
    id="0190c6c4-7b6b-7000-8000-000000000000",
    type="system.run.started",
    category=Category.SYSTEM,
    priority=Priority.CRITICAL,
    version="1.0.0",
    timestamp_ms=1_790_000_000_000,
    source="tests",
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
longs = st.integers(-(1 << 63), (1 << 63) - 1)
aggregates = st.builds(Aggregate, texts, texts, st.none() | longs)
metadata = st.builds(
    Metadata,
    st.none() | texts,
    st.none() | texts,
    st.none() | st.integers(-(1 << 31), (1 << 31) - 1),
    st.dictionaries(texts, texts, max_size=5),
)
envelopes = st.builds(
    Envelope,
    id=texts,
    type=texts,
    category=st.sampled_from(Category),
    priority=st.sampled_from(Priority),
    version=texts,
    timestamp_ms=st.integers(FIRST_MS, LAST_MS),
    source=texts,
    correlation_id=st.none() | texts,
    causation_id=st.none() | texts,
    aggregate=st.none() | aggregates,
    metadata=st.just(NO_METADATA) | metadata,
)
ADDED_TYPES: Final[tuple[tuple[Any, Any], ...]] = (
    ("boolean", True),
    ("int", -7),
    ("long", 1 << 40),
    ("float", 0.5),
    ("double", 0.25),
    ("bytes", bytes(200)),
    ("string", "ä" * 100),
    ({"type": "fixed", "name": "Checksum", "size": 16}, bytes(16)),
    ({"type": "enum", "name": "Kind", "symbols": ["A", "B"]}, "B"),
    ({"type": "array", "items": "string"}, ["a", "b"]),
    ({"type": "map", "values": "long"}, {"a": 1}),
    (
        {"type": "record", "name": "Place", "fields": [{"name": "city", "type": "string"}]},
        {"city": "Bergen"},
    ),
)


def plain_time(composed: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with the timestamp as a number, as the reader gives it."""
    fields = [
        {**field, "type": "long"} if field["name"] == "timestamp" else field
        for field in composed["fields"]
    ]
    return {**composed, "fields": fields}


AVRO: Final = parse_schema(plain_time(COMPOSED))
DATA_BYTES: Final = 1 + 1 + 1 + 2 + 1 + 1
"""Of DATA: the run's length and letter, one project in a block and the block's end, the number."""


def wire(envelope: Envelope) -> dict[str, Any]:
    """The event as fastavro takes it."""
    aggregate = envelope.aggregate
    user_id, trace_id, retry_count, extra = envelope.metadata
    return {
        "id": envelope.id,
        "type": envelope.type,
        "category": envelope.category.value,
        "priority": envelope.priority.name,
        "version": envelope.version,
        "timestamp": envelope.timestamp_ms,
        "source": envelope.source,
        "correlationId": envelope.correlation_id,
        "causationId": envelope.causation_id,
        "aggregate": aggregate._asdict() if aggregate else None,
        "metadata": {
            "userId": user_id,
            "traceId": trace_id,
            "retryCount": retry_count,
            "extra": dict(extra),
        },
        "data": DATA,
    }


def encoded(schema: Any, event: Mapping[str, Any]) -> bytes:
    stream = BytesIO()
    schemaless_writer(stream, schema, event)
    return stream.getvalue()


@pytest.mark.parametrize("reading", READINGS, ids=str)
@given(envelopes)
def test_reads_every_envelope_that_fastavro_writes(reading: Reading, envelope: Envelope) -> None:
    value = encoded(AVRO, wire(envelope))
    assert READ[reading](value, 0) == (envelope, len(value) - DATA_BYTES)


@pytest.mark.parametrize("reading", READINGS, ids=str)
@given(envelopes, st.binary(max_size=20))
def test_begins_where_it_is_told_to(reading: Reading, envelope: Envelope, before: bytes) -> None:
    value = encoded(AVRO, wire(envelope))
    found, at = READ[reading](before + value, len(before))
    assert (found, at - len(before)) == (envelope, len(value) - DATA_BYTES)


@pytest.mark.parametrize("reading", READINGS, ids=str)
@given(st.lists(envelopes, min_size=2, max_size=4))
def test_an_event_says_nothing_about_the_next(reading: Reading, several: list[Envelope]) -> None:
    assert [READ[reading](encoded(AVRO, wire(one)), 0)[0] for one in several] == several


@pytest.mark.parametrize("reading", READINGS, ids=str)
@given(envelopes, st.data())
def test_an_envelope_that_ends_early_is_truncated(
    reading: Reading, envelope: Envelope, data: st.DataObject
) -> None:
    value = encoded(AVRO, wire(envelope))[:-DATA_BYTES]
    size = data.draw(st.integers(0, len(value) - 1))
    with pytest.raises(TruncatedEvent):
        READ[reading](value[:size], 0)


@pytest.mark.parametrize("reading", READINGS, ids=str)
def test_every_cut_of_a_full_envelope_is_truncated(reading: Reading) -> None:
    full = PLAIN._replace(
        correlation_id="c" * 70,
        causation_id="å",
        aggregate=Aggregate("Analysis", "a", 300),
        metadata=Metadata("u", "t", -1, {"key": "value"}),
    )
    value = encoded(AVRO, wire(full))[:-DATA_BYTES]
    for size in range(len(value)):
        with pytest.raises(TruncatedEvent):
            READ[reading](value[:size], 0)


@pytest.mark.parametrize("reading", READINGS, ids=str)
@given(st.binary(max_size=120))
def test_foreign_bytes_are_truncated_or_read_as_fastavro_reads_them(
    reading: Reading, value: bytes
) -> None:
    try:
        envelope, _ = READ[reading](value + bytes(10), 0)
    except TruncatedEvent:
        return
    event = schemaless_reader(BytesIO(value + bytes(10)), AVRO, None)
    assert isinstance(event, dict)
    event["data"] = DATA
    assert wire(envelope) == event


@pytest.mark.parametrize("reading", READINGS, ids=str)
@given(envelopes, st.data())
def test_a_damaged_byte_never_raises_anything_else(
    reading: Reading, envelope: Envelope, data: st.DataObject
) -> None:
    value = bytearray(encoded(AVRO, wire(envelope)))
    value[data.draw(st.integers(0, len(value) - 1))] = data.draw(st.integers(0, 255))
    try:
        found, at = READ[reading](bytes(value), 0)
    except TruncatedEvent:
        return
    assert isinstance(found, Envelope)
    assert at <= len(value)


def with_extra(blocks: bytes) -> bytes:
    """A plain envelope whose metadata holds these map blocks."""
    value = encoded(AVRO, wire(PLAIN))[:-DATA_BYTES]
    return value[:-1] + blocks


ENTRY: Final = b"\x02k\x02v"
OTHER: Final = b"\x02l\x02w"


@pytest.mark.parametrize("reading", READINGS, ids=str)
@pytest.mark.parametrize(
    ("blocks", "extra"),
    [
        (b"\x00", {}),
        (b"\x02" + ENTRY + b"\x00", {"k": "v"}),
        (b"\x01\x08" + ENTRY + b"\x00", {"k": "v"}),
        (b"\x03\x10" + ENTRY + OTHER + b"\x00", {"k": "v", "l": "w"}),
        (b"\x02" + ENTRY + b"\x01\x08" + OTHER + b"\x00", {"k": "v", "l": "w"}),
        (b"\x01\x08" + ENTRY + b"\x02" + OTHER + b"\x00", {"k": "v", "l": "w"}),
    ],
)
def test_reads_map_blocks_with_and_without_their_size(
    reading: Reading, blocks: bytes, extra: dict[str, str]
) -> None:
    value = with_extra(blocks)
    assert READ[reading](value, 0) == (PLAIN._replace(metadata=Metadata(extra=extra)), len(value))


@pytest.mark.parametrize("reading", READINGS, ids=str)
@pytest.mark.parametrize("blocks", [b"\x01\x08" + ENTRY, b"\x7e" + ENTRY, b"\xff" * 9 + b"\x01"])
def test_map_blocks_that_end_early_are_truncated(reading: Reading, blocks: bytes) -> None:
    with pytest.raises(TruncatedEvent):
        READ[reading](with_extra(blocks), 0)


@pytest.mark.parametrize("reading", READINGS, ids=str)
def test_reads_a_number_that_is_longer_than_it_has_to_be(reading: Reading) -> None:
    value = encoded(AVRO, wire(PLAIN))
    size = len(PLAIN.id)
    assert value[0] == 2 * size
    longer = bytes([2 * size | 0x80, 0x80, 0x00]) + value[1:]
    assert READ[reading](longer, 0) == (PLAIN, len(longer) - DATA_BYTES)


@pytest.mark.parametrize("reading", READINGS, ids=str)
@pytest.mark.parametrize(
    "length", [b"\x01", b"\x03", b"\xff\x01", b"\xfe" * 9 + b"\x01", b"\xff" * 11]
)
def test_a_text_of_impossible_length_is_truncated(reading: Reading, length: bytes) -> None:
    with pytest.raises(TruncatedEvent):
        READ[reading](length + encoded(AVRO, wire(PLAIN))[1:], 0)


@pytest.mark.parametrize("reading", READINGS, ids=str)
def test_bytes_that_are_no_utf_8_are_truncated(reading: Reading) -> None:
    with pytest.raises(TruncatedEvent):
        READ[reading](b"\x02\xff" + encoded(AVRO, wire(PLAIN)), 0)


@pytest.mark.parametrize("reading", READINGS, ids=str)
def test_reads_texts_of_many_bytes(reading: Reading) -> None:
    large = PLAIN._replace(id="ß" * 100_000, source="")
    value = encoded(AVRO, wire(large))
    assert READ[reading](value, 0) == (large, len(value) - DATA_BYTES)


@pytest.mark.parametrize("reading", READINGS, ids=str)
@pytest.mark.parametrize("timestamp_ms", [FIRST_MS, -1, 0, 1, 127, 1 << 34, 1 << 41, LAST_MS])
def test_reads_every_time_that_a_datetime_can_hold(reading: Reading, timestamp_ms: int) -> None:
    envelope = PLAIN._replace(timestamp_ms=timestamp_ms)
    assert READ[reading](encoded(AVRO, wire(envelope)), 0)[0] == envelope


@pytest.mark.parametrize("reading", READINGS, ids=str)
@given(st.lists(st.integers(1 << 34, 1 << 41), min_size=1, max_size=4))
def test_a_time_says_nothing_about_one_that_is_nearly_alike(
    reading: Reading, times: list[int]
) -> None:
    read = reading.prefix(COMPOSED)
    alike = [near for time in times for near in (time, ~time, time + 1, time ^ 8191, ~time - 1)]
    found = [read(encoded(AVRO, wire(PLAIN._replace(timestamp_ms=time))), 0)[0] for time in alike]
    assert [envelope.timestamp_ms for envelope in found] == alike


def test_times_are_not_noted_without_end() -> None:
    known: dict[bytes, int] = {}
    for time in range(1 << 40, (1 << 40) + 5000 * 8192, 8192):
        value = write_long(time)
        assert read_time(value, 0, known) == (time, len(value))
        assert len(known) <= 4096


@pytest.mark.parametrize("reading", READINGS, ids=str)
@pytest.mark.parametrize("timestamp_ms", [FIRST_MS - 1, LAST_MS + 1, -(1 << 63), (1 << 63) - 1])
def test_a_time_that_no_datetime_can_hold_is_refused(reading: Reading, timestamp_ms: int) -> None:
    value = encoded(AVRO, wire(PLAIN._replace(timestamp_ms=timestamp_ms)))
    with pytest.raises(TruncatedEvent):
        READ[reading](value, 0)


def grown(added: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The schema with one more nullable field: in the envelope or one of its records."""
    composed: dict[str, Any] = plain_time(COMPOSED)
    field = {"name": "added", "default": None, **added}
    if where == "envelope":
        composed["fields"] = [*composed["fields"][:-1], field, composed["fields"][-1]]
        return composed
    composed["fields"] = [
        {**known, "type": _grown_record(known["type"], field)} if known["name"] == where else known
        for known in composed["fields"]
    ]
    return composed


def _grown_record(kind: Any, field: Mapping[str, Any]) -> Any:
    if isinstance(kind, list):
        return [kind[0], _grown_record(kind[1], field)]
    return {**kind, "fields": [*kind["fields"], field]}


@pytest.mark.parametrize("reading", READINGS, ids=str)
@pytest.mark.parametrize("where", ["envelope", "aggregate", "metadata"])
@pytest.mark.parametrize(("kind", "value"), ADDED_TYPES)
@pytest.mark.parametrize("is_null", [False, True])
def test_reads_a_newer_envelope_past_what_it_does_not_know(
    reading: Reading, kind: Any, value: Any, where: str, is_null: bool
) -> None:
    composed = grown({"type": ["null", kind]}, where)
    envelope = PLAIN._replace(aggregate=Aggregate("Run", "r"), metadata=Metadata(user_id="u"))
    event = wire(envelope)
    (event if where == "envelope" else event[where])["added"] = None if is_null else value
    written = encoded(parse_schema(composed), event)
    read = reading.prefix(composed)
    assert read(written, 0) == (envelope, len(written) - DATA_BYTES)
    if where == "envelope" and not is_null:
        with pytest.raises(TruncatedEvent):
            read(written[: -DATA_BYTES - 1], 0)


@pytest.mark.parametrize("reading", READINGS, ids=str)
def test_reads_a_newer_envelope_whose_field_names_a_type_of_the_envelope(reading: Reading) -> None:
    composed = grown({"type": ["null", "wundr.envelope.Aggregate"]}, "envelope")
    event = wire(PLAIN) | {"added": Aggregate("Run", "r")._asdict()}
    written = encoded(parse_schema(composed), event)
    assert reading.prefix(composed)(written, 0) == (PLAIN, len(written) - DATA_BYTES)


@pytest.mark.parametrize("reading", READINGS, ids=str)
def test_reads_an_older_envelope_without_what_was_added_since(reading: Reading) -> None:
    composed = plain_time(COMPOSED)
    composed["fields"] = [
        field for field in composed["fields"] if field["name"] not in {"causationId", "aggregate"}
    ]
    written = encoded(parse_schema(composed), wire(PLAIN))
    assert reading.prefix(composed)(written, 0)[0] == PLAIN


@pytest.mark.parametrize("reading", READINGS, ids=str)
@pytest.mark.parametrize("field", ["id", "type", "category", "priority", "version", "timestamp"])
def test_a_schema_without_a_required_field_is_no_envelope_of_ours(
    reading: Reading, field: str
) -> None:
    fields = [known for known in COMPOSED["fields"] if known["name"] != field]
    with pytest.raises(InvalidWriterSchema):
        reading.prefix({**COMPOSED, "fields": fields})


@pytest.mark.parametrize("reading", READINGS, ids=str)
def test_a_schema_whose_id_is_a_number_is_no_envelope_of_ours(reading: Reading) -> None:
    fields = [
        {**known, "type": "long"} if known["name"] == "id" else known
        for known in COMPOSED["fields"]
    ]
    with pytest.raises(InvalidWriterSchema):
        reading.prefix({**COMPOSED, "fields": fields})


@pytest.mark.parametrize("reading", READINGS, ids=str)
def test_a_priority_that_this_release_does_not_know_is_refused_when_met(reading: Reading) -> None:
    urgent = {
        "type": "enum",
        "name": "Priority",
        "namespace": "wundr.envelope",
        "symbols": ["URGENT", "LOW"],
    }
    composed = plain_time(COMPOSED)
    composed["fields"] = [
        {**field, "type": urgent} if field["name"] == "priority" else field
        for field in composed["fields"]
    ]
    schema, read = parse_schema(composed), reading.prefix(composed)
    with pytest.raises(TruncatedEvent):
        read(encoded(schema, wire(PLAIN) | {"priority": "URGENT"}), 0)
    envelope, _ = read(encoded(schema, wire(PLAIN) | {"priority": "LOW"}), 0)
    assert envelope.priority is Priority.LOW
