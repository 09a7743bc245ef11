"""Data of another version: generated code and fastavro resolve them alike."""

from collections.abc import Mapping
from io import BytesIO
from typing import Any, Final

import pytest
from fastavro import parse_schema, schemaless_reader
from hypothesis import given
from hypothesis import strategies as st

from schemas.class_source import UnsupportedType
from schemas.data_reader import compile_typed_reader, compile_wire_reader
from schemas.errors import TruncatedEvent
from schemas.resolving_reader import compile_resolving_reader, differs_by_fields
from tests.unit.schemas.avro_values import records, same
from tests.unit.schemas.test_data_reader import class_of, source_of, written

ADDED: Final[tuple[dict[str, Any], ...]] = (
    {"name": "addedText", "type": "string", "default": "a 'text'"},
    {"name": "addedCount", "type": "int", "default": 7},
    {"name": "addedFlag", "type": "boolean", "default": True},
    {"name": "addedShare", "type": "double", "default": 0.5},
    {"name": "addedNote", "type": ["null", "string"], "default": None},
)


def other_version(record: Mapping[str, Any], draw: st.DataObject) -> dict[str, Any]:
    """The record without some of its fields, with more that have defaults.

    Fields that define a type stay: others may name it.
    """
    kept = [
        field
        for field in record["fields"]
        if not isinstance(field["type"], str) or draw.draw(st.booleans())
    ]
    more = draw.draw(st.lists(st.sampled_from(ADDED), unique_by=lambda field: str(field["name"])))
    return {**record, "fields": [*kept, *({**field, "doc": "A field."} for field in more)]}


@given(records(), st.data())
def test_versions_that_differ_by_fields_are_read_as_fastavro_resolves_them(
    one: tuple[dict[str, Any], Mapping[str, Any]], draw: st.DataObject
) -> None:
    record, value = one
    known = other_version(record, draw)
    assert differs_by_fields(record, known)
    data = written(record, value)
    found = compile_wire_reader(record, known)(data, 0)
    resolved = schemaless_reader(
        BytesIO(data), parse_schema(dict(record)), parse_schema(dict(known))
    )
    assert same(found, resolved)
    assert same(found, compile_resolving_reader(record, known)(data, 0))


@given(records(), st.data())
def test_a_class_of_another_version_is_made_as_of_the_resolved_mapping(
    one: tuple[dict[str, Any], Mapping[str, Any]], draw: st.DataObject
) -> None:
    record, value = one
    known = other_version(record, draw)
    try:
        data_type = class_of(known)
    except UnsupportedType:
        return
    schema, target = source_of(record).record, source_of(known).record
    data = written(schema, value)
    found = compile_typed_reader(schema, data_type, target)(data, 0)
    assert found == data_type.from_wire(compile_resolving_reader(schema, target)(data, 0))
    if data:
        with pytest.raises(TruncatedEvent):
            compile_typed_reader(schema, data_type, target)(data[:-1], 0)


def with_field(**field: Any) -> dict[str, Any]:
    return {"type": "record", "name": "R", "fields": [{"name": "x", **field}]}


WITH_Y: Final = {"type": "record", "name": "R", "fields": [{"name": "y", "type": "int"}]}


@pytest.mark.parametrize(
    ("record", "known"),
    [
        (with_field(type="int"), with_field(type="long")),
        (with_field(type="int"), with_field(type=["null", "int"])),
        (WITH_Y, with_field(type="int")),
        (WITH_Y, with_field(type="int", default=1, aliases=["y"])),
        (
            WITH_Y,
            with_field(type={"type": "array", "items": "int"}, default=[]),
        ),
        (
            WITH_Y,
            with_field(type={"type": "enum", "name": "E", "symbols": ["a"]}, default="a"),
        ),
        (WITH_Y, {**WITH_Y, "name": "Other"}),
    ],
)
def test_other_differences_are_left_to_fastavro(
    record: dict[str, Any], known: dict[str, Any]
) -> None:
    assert not differs_by_fields(record, known)


def test_a_number_that_has_grown_is_resolved() -> None:
    read = compile_resolving_reader(with_field(type="int"), with_field(type="double"))
    assert read(b"\x04", 0) == {"x": 2.0}
    for damaged in (b"", b"\x04\x00"):
        with pytest.raises(TruncatedEvent):
            read(damaged, 0)


def test_a_field_without_default_that_was_not_written_is_told() -> None:
    read = compile_resolving_reader(WITH_Y, with_field(type="int"))
    with pytest.raises(TruncatedEvent):
        read(b"\x04", 0)
