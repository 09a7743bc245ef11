"""The generated data readers against fastavro, over generated schemas, values and damage."""

import sys
from collections.abc import Mapping
from io import BytesIO
from types import ModuleType
from typing import Any, Final

import pytest
from fastavro import parse_schema, schemaless_reader, schemaless_writer
from hypothesis import given
from hypothesis import strategies as st

from schemas import class_source
from schemas.catalog import Catalog
from schemas.errors import TruncatedEvent
from schemas.event_data import EventData
from schemas.events import DATA_TYPES
from schemas.events.domain import AnalysisFileProcessed
from schemas.source import SourceSchema, read_source
from tests.unit.schemas.avro_values import records, same
from tests.unit.schemas.readings import READINGS, Reading
from tests.unit.schemas.samples import file_processed

CATALOG: Final = Catalog.load()
PROCESSED: Final = CATALOG.writer_schema("analysis.file.processed", "1.1.0").data_record()


def written(record: Mapping[str, Any], value: Mapping[str, Any]) -> bytes:
    stream = BytesIO()
    schemaless_writer(stream, parse_schema(dict(record)), value)
    return stream.getvalue()


def read_by_fastavro(record: Mapping[str, Any], value: bytes) -> Any:
    return schemaless_reader(BytesIO(value), parse_schema(dict(record)), None)


@pytest.mark.parametrize("reading", READINGS, ids=str)
@given(records(), st.binary(max_size=9))
def test_reads_every_value_that_fastavro_writes(
    reading: Reading, one: tuple[dict[str, Any], Mapping[str, Any]], before: bytes
) -> None:
    record, value = one
    data = written(record, value)
    found = reading.wire(record)(before + data, len(before))
    assert same(found, read_by_fastavro(record, data))


@pytest.mark.parametrize("reading", READINGS, ids=str)
@given(records(), st.data())
def test_data_that_end_early_are_truncated(
    reading: Reading, one: tuple[dict[str, Any], Mapping[str, Any]], draw: st.DataObject
) -> None:
    record, value = one
    data = written(record, value)
    read = reading.wire(record)
    with pytest.raises(TruncatedEvent):
        read(data + b"\x00", 0)
    if data:
        with pytest.raises(TruncatedEvent):
            read(data[: draw.draw(st.integers(0, len(data) - 1))], 0)


@pytest.mark.parametrize("reading", READINGS, ids=str)
@given(records(), st.data())
def test_damaged_data_are_truncated_or_read_as_fastavro_reads_them(
    reading: Reading, one: tuple[dict[str, Any], Mapping[str, Any]], draw: st.DataObject
) -> None:
    record, value = one
    damaged = bytearray(written(record, value) or b"\x00")
    for _ in range(draw.draw(st.integers(1, 3))):
        place = draw.draw(st.integers(0, len(damaged) - 1))
        damaged[place] ^= 1 << draw.draw(st.integers(0, 7))
    try:
        found = reading.wire(record)(bytes(damaged), 0)
    except TruncatedEvent:
        return
    assert same(found, read_by_fastavro(record, bytes(damaged)))


@pytest.mark.parametrize("reading", READINGS, ids=str)
@given(records(), st.binary(max_size=60))
def test_foreign_bytes_are_truncated_or_read_as_fastavro_reads_them(
    reading: Reading, one: tuple[dict[str, Any], Mapping[str, Any]], foreign: bytes
) -> None:
    record, _ = one
    try:
        found = reading.wire(record)(foreign, 0)
    except TruncatedEvent:
        return
    assert same(found, read_by_fastavro(record, foreign))


def source_of(record: Mapping[str, Any]) -> SourceSchema:
    """A schema file with this data record."""
    attributes = {"priority": "low", "owner": "tests", "personal": []}
    return read_source(
        "domain/thing.happened/1.0.0.avsc",
        {**record, "name": "ThingHappened", "namespace": "wundr.domain", "wundr": attributes},
    )


def class_of(record: Mapping[str, Any]) -> type[EventData]:
    """The class that is generated for a data record."""
    module = ModuleType("generated_for_data_reader")
    sys.modules[module.__name__] = module
    exec(class_source.modules([source_of(record)])["domain.py"], module.__dict__)
    found: type[EventData] = module.__dict__["ThingHappened"]
    return found


@pytest.mark.parametrize("reading", READINGS, ids=str)
@given(records())
def test_a_class_is_read_as_it_is_made_of_the_wire_mapping(
    reading: Reading,
    one: tuple[dict[str, Any], Mapping[str, Any]],
) -> None:
    record, value = one
    schema = source_of(record).record
    data = written(schema, value)
    try:
        data_type = class_of(record)
    except class_source.UnsupportedType:
        return
    found = reading.typed(schema, data_type)(data, 0)
    expected = data_type.from_wire(read_by_fastavro(schema, data))
    assert type(found) is data_type
    assert found == expected
    assert same(found.to_wire(), expected.to_wire())


@pytest.mark.parametrize("reading", READINGS, ids=str)
@pytest.mark.parametrize("key", sorted(DATA_TYPES))
def test_every_class_of_the_catalog_is_read_without_the_detour(
    reading: Reading, key: tuple[str, str]
) -> None:
    record = CATALOG.writer_schema(*key).data_record()
    read = reading.typed(record, DATA_TYPES[key])
    assert read.__name__ == "read_data"


@pytest.mark.parametrize("reading", READINGS, ids=str)
def test_data_that_were_read_cannot_be_changed(reading: Reading) -> None:
    found = reading.typed(PROCESSED, AnalysisFileProcessed)(
        written(PROCESSED, file_processed().to_wire()), 0
    )
    assert found == file_processed()
    assert hash(found) == hash(file_processed())
    assert repr(found) == repr(file_processed())
    with pytest.raises(AttributeError):
        found.lines = 1
    with pytest.raises(AttributeError):
        del found.lines


class Handmade(EventData):
    """A class that was not generated."""

    event_type = "analysis.file.processed"
    schema_version = "1.1.0"

    def __init__(self, path: str) -> None:
        self.path = path

    @classmethod
    def from_wire(cls, data: Mapping[str, Any]) -> "Handmade":
        return cls(data["path"])

    def to_wire(self) -> dict[str, Any]:
        return {"path": self.path}


@pytest.mark.parametrize("reading", READINGS, ids=str)
def test_a_class_that_was_not_generated_is_made_of_the_wire_mapping(reading: Reading) -> None:
    data = written(PROCESSED, file_processed().to_wire())
    assert reading.typed(PROCESSED, Handmade)(data, 0).path == "schemas/event.py"


@pytest.mark.parametrize("reading", READINGS, ids=str)
def test_a_mapping_that_does_not_fit_its_class_is_told_as_such(reading: Reading) -> None:
    record = {"type": "record", "name": "R", "fields": [{"name": "x", "type": "int"}]}
    with pytest.raises(TruncatedEvent, match="do not fit their class"):
        reading.typed(record, Handmade)(b"\x02", 0)


def one_field(kind: Any) -> dict[str, Any]:
    return {"type": "record", "name": "R", "fields": [{"name": "x", "type": kind}]}


ENUM: Final = {"type": "enum", "name": "E", "symbols": ["a", "b"]}
FIXED_ITEMS: Final = {"type": "array", "items": {"type": "fixed", "name": "F", "size": 3}}
INTS: Final = {"type": "array", "items": "int"}


@pytest.mark.parametrize("reading", READINGS, ids=str)
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("boolean", b"\x02"),
        ("int", b"\x80\x80\x80\x80\x10"),
        ("long", b"\xff" * 9 + b"\x02"),
        ("long", b"\x80" * 11),
        ("string", b"\x01"),
        ("string", b"\x02\xff"),
        ("bytes", b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        ("float", b"\x00\x00"),
        (ENUM, b"\x01"),
        (ENUM, b"\x04"),
        (["null", "int"], b"\x01\x00"),
        (["null", "int"], b"\x04\x00"),
        ({"type": "fixed", "name": "F", "size": 3}, b"ab"),
        (INTS, b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"),
        (INTS, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00"),
        (INTS, b"\x02\x02"),
        (
            {"type": "array", "items": {"type": "fixed", "name": "F", "size": 3}},
            b"\xfe" * 8 + b"\x01",
        ),
        ({"type": "map", "values": "null"}, b"\xfe\xff\xff\xff\x0f\x00"),
        ({"type": "long", "logicalType": "timestamp-millis"}, b"\xfe" + b"\xff" * 8 + b"\x01"),
        ({"type": "string", "logicalType": "uuid"}, b"\x02x"),
        ({"type": "int", "logicalType": "date"}, b"\xff\xff\xff\xff\x0f"),
    ],
)
def test_what_no_writer_makes_is_refused(reading: Reading, kind: Any, value: bytes) -> None:
    with pytest.raises(TruncatedEvent):
        reading.wire(one_field(kind))(value, 0)


@pytest.mark.parametrize("reading", READINGS, ids=str)
@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b"\x00", []),
        (b"\x04\x02\x04\x00", [1, 2]),
        (b"\x03\x04\x02\x04\x00", [1, 2]),
        (b"\x02\x02\x01\x02\x04\x00", [1, 2]),
        (b"\x84\x00\x02\x84\x80\x00\x00", [1, 2]),
    ],
)
def test_reads_blocks_and_numbers_of_every_form(
    reading: Reading, value: bytes, found: list[int]
) -> None:
    assert reading.wire(one_field(INTS))(value, 0) == {"x": found}


@pytest.mark.parametrize("reading", READINGS, ids=str)
def test_reads_values_of_many_bytes(reading: Reading) -> None:
    record = one_field({"type": "map", "values": "string"})
    value = {"x": {"ß" * 50_000: "€" * 200_000, "": ""}}
    assert reading.wire(record)(written(record, value), 0) == value


@pytest.mark.parametrize("reading", READINGS, ids=str)
def test_lists_in_lists_are_read_as_deep_as_they_go(reading: Reading) -> None:
    kind: Any = "int"
    value: Any = 7
    for _ in range(40):
        kind, value = {"type": "array", "items": kind}, [value]
    record = one_field(kind)
    assert reading.wire(record)(written(record, {"x": value}), 0) == {"x": value}


@pytest.mark.parametrize("reading", READINGS, ids=str)
def test_names_of_a_schema_never_become_code(reading: Reading) -> None:
    record = one_field("int")
    record["fields"][0]["name"] = "x': __import__('os'), '"
    assert reading.wire(record)(b"\x02", 0) == {record["fields"][0]["name"]: 1}


EDGES: Final = [edge - less for edge in (1 << bit for bit in range(64)) for less in (0, 1)]


@pytest.mark.parametrize("reading", READINGS, ids=str)
def test_numbers_of_every_length_are_read(reading: Reading) -> None:
    longs = [number for edge in EDGES for number in (edge, -edge) if -(1 << 63) <= number < 1 << 63]
    record = one_field({"type": "array", "items": "long"})
    assert reading.wire(record)(written(record, {"x": longs}), 0) == {"x": longs}
    ints = [number for number in longs if -(1 << 31) <= number < 1 << 31]
    assert reading.wire(one_field(INTS))(written(one_field(INTS), {"x": ints}), 0) == {"x": ints}
