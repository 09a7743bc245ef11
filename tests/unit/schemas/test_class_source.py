"""Typed classes of schemas that the catalog does not have yet.

Nested types, enums, logical types, versions.
"""

import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_reader, schemaless_writer

from schemas import class_source
from schemas.event_data import EventData
from schemas.source import SourceSchema, read_source

POINT = {
    "type": "record",
    "name": "Point",
    "doc": "A place.",
    "fields": [
        {"name": "x", "type": "int", "doc": "East."},
        {"name": "label", "type": ["null", "string"], "default": None, "doc": "Its name."},
    ],
}
KIND = {"type": "enum", "name": "Kind", "symbols": ["road", "rail"], "doc": "How."}
MILLIS = {"type": "long", "logicalType": "timestamp-millis"}


def source(
    *fields: Mapping[str, Any], version: str = "1.0.0", name: str = "RouteDrawn"
) -> SourceSchema:
    """The schema `route.drawn` with these fields."""
    return read_source(
        f"domain/route.drawn/{version}.avsc",
        {
            "type": "record",
            "name": name,
            "namespace": "wundr.domain",
            "doc": "A route was drawn.",
            "wundr": {"priority": "low", "owner": "tests", "personal": []},
            "fields": list(fields),
        },
    )


def a_field(name: str, kind: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "doc": f"The {name}.", **more}


@pytest.fixture
def module() -> Iterator[ModuleType]:
    """An empty module that generated source is run in."""
    made = ModuleType("generated_for_tests")
    sys.modules[made.__name__] = made
    yield made
    del sys.modules[made.__name__]


def run(module: ModuleType, *sources: SourceSchema) -> dict[str, Any]:
    """What the generated file of the category `domain` defines."""
    exec(class_source.modules(sources)["domain.py"], module.__dict__)
    return module.__dict__


def through_avro(record: Mapping[str, Any], data: Mapping[str, Any]) -> Any:
    schema = parse_schema(dict(record))
    stream = BytesIO()
    schemaless_writer(stream, schema, data)
    stream.seek(0)
    return schemaless_reader(stream, schema, None)


def round_trip(module: ModuleType, written: SourceSchema, data: Mapping[str, Any]) -> Any:
    """Wire → Avro → typed → wire is what it was; gives the typed data."""
    data_class = run(module, written)["RouteDrawn"]
    typed = data_class.from_wire(through_avro(written.record, data))
    assert isinstance(typed, EventData)
    assert typed.to_wire() == data
    assert data_class.from_wire(through_avro(written.record, typed.to_wire())) == typed
    return typed


def test_a_nested_record_becomes_a_class_of_its_own(module: ModuleType) -> None:
    written = source(a_field("from", POINT), a_field("stops", {"type": "array", "items": "Point"}))
    data = {"from": {"x": 1, "label": None}, "stops": [{"x": 2, "label": "b"}]}
    typed = round_trip(module, written, data)
    assert typed.from_.x == 1
    assert typed.stops[0].label == "b"
    assert type(typed.from_) is type(typed.stops[0]) is module.__dict__["RouteDrawnPoint"]


def test_an_enum_becomes_an_enum_wherever_it_is_named(module: ModuleType) -> None:
    written = source(
        a_field("kind", KIND),
        a_field("kinds", {"type": "array", "items": "Kind"}),
        a_field("other", ["null", "Kind"], default=None),
        a_field("usual", "Kind", default="rail"),
    )
    data = {"kind": "road", "kinds": ["rail", "road"], "other": "rail", "usual": "road"}
    typed = round_trip(module, written, data)
    kinds = module.__dict__["RouteDrawnKind"]
    assert typed.kind is kinds.ROAD
    assert typed.kinds == (kinds.RAIL, kinds.ROAD)
    assert typed.other is kinds.RAIL
    assert type(typed)(kind=kinds.ROAD, kinds=()).usual is kinds.RAIL


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ({"type": "map", "values": "long"}, {"a": 1}),
        (
            {"type": "map", "values": {"type": "array", "items": "string"}},
            {"a": ["b", "c"], "d": []},
        ),
        ({"type": "map", "values": POINT}, {"a": {"x": 1, "label": None}}),
        (
            {"type": "array", "items": {"type": "map", "values": POINT}},
            [{"a": {"x": 1, "label": "l"}}],
        ),
        (
            {"type": "array", "items": {"type": "array", "items": POINT}},
            [[{"x": 1, "label": None}], []],
        ),
        ({"type": "array", "items": ["null", POINT]}, [None, {"x": 1, "label": None}]),
        (["null", {"type": "array", "items": "int"}], None),
        (["null", {"type": "array", "items": "int"}], [1, 2]),
        (["null", {"type": "map", "values": KIND}], {"a": "rail"}),
        (["null", "int", "string"], "either"),
        ({"type": "fixed", "name": "Checksum", "size": 2}, b"ab"),
        ({"type": "string"}, "long form"),
    ],
)
def test_containers_come_back_as_they_went(module: ModuleType, kind: Any, value: Any) -> None:
    round_trip(module, source(a_field("value", kind)), {"value": value})


def test_a_moment_is_an_aware_datetime(module: ModuleType) -> None:
    moment = datetime(2026, 11, 23, 12, 0, 0, 123_000, tzinfo=UTC)
    typed = round_trip(module, source(a_field("drawnAt", MILLIS)), {"drawnAt": moment})
    assert typed.drawn_at == moment


def test_defaults_are_those_of_the_schema(module: ModuleType) -> None:
    written = source(
        a_field("count", "int", default=3),
        a_field("name", "string", default='a "quoted" \\ name'),
        a_field("tags", {"type": "array", "items": "string"}, default=[]),
        a_field("note", ["null", "string"], default=None),
    )
    data_class = run(module, written)["RouteDrawn"]
    assert data_class() == data_class.from_wire({})
    assert data_class().to_wire() == {
        "count": 3,
        "name": 'a "quoted" \\ name',
        "tags": [],
        "note": None,
    }


def test_typed_data_cannot_be_changed(module: ModuleType) -> None:
    typed = round_trip(module, source(a_field("count", "int")), {"count": 1})
    with pytest.raises(AttributeError):
        typed.count = 2


def test_the_latest_of_a_major_has_the_plain_name(module: ModuleType) -> None:
    count, more = a_field("count", "int"), a_field("more", "int", default=0)
    names = class_source.class_names(
        [
            source(count, version="1.0.0"),
            source(count, more, version="1.10.0"),
            source(count, more, version="1.2.0"),
            source(count, version="2.0.0", name="RouteDrawnAnew"),
        ]
    )
    assert names == {
        ("route.drawn", "1.0.0"): "RouteDrawnV1_0",
        ("route.drawn", "1.2.0"): "RouteDrawnV1_2",
        ("route.drawn", "1.10.0"): "RouteDrawn",
        ("route.drawn", "2.0.0"): "RouteDrawnAnew",
    }


def test_two_versions_with_nested_records_stand_in_one_file(module: ModuleType) -> None:
    older = source(a_field("at", POINT), version="1.0.0")
    newer = source(a_field("at", POINT), a_field("more", "int", default=0), version="1.1.0")
    scope = run(module, older, newer)
    wire = {"at": {"x": 1, "label": None}}
    assert scope["RouteDrawnV1_0"].from_wire(wire).to_wire() == wire
    assert scope["RouteDrawn"].from_wire(wire).to_wire() == wire | {"more": 0}
    assert scope["DATA_CLASSES"] == (scope["RouteDrawnV1_0"], scope["RouteDrawn"])


@pytest.mark.parametrize(
    ("name", "attribute"),
    [
        ("projectId", "project_id"),
        ("durationMs", "duration_ms"),
        ("HTTPStatus", "http_status"),
        ("class", "class_"),
        ("toWire", "to_wire_"),
    ],
)
def test_fields_are_snake_case(module: ModuleType, name: str, attribute: str) -> None:
    typed = round_trip(module, source(a_field(name, "int")), {name: 7})
    assert getattr(typed, attribute) == 7


@pytest.mark.parametrize(
    "field",
    [
        a_field("next", ["null", "RouteDrawn"], default=None),
        a_field("places", ["null", POINT, KIND]),
        a_field("raw", "bytes", default="x"),
        a_field("limits", {"type": "map", "values": "int"}, default={"a": 1}),
    ],
)
def test_what_has_no_class_is_refused(field: Mapping[str, Any]) -> None:
    with pytest.raises(class_source.UnsupportedType):
        class_source.modules([source(field)])


def test_a_record_that_holds_itself_deeper_is_refused() -> None:
    tree = {
        "type": "record",
        "name": "Tree",
        "fields": [{"name": "trees", "type": {"type": "array", "items": "Tree"}}],
    }
    with pytest.raises(class_source.UnsupportedType):
        class_source.modules([source(a_field("tree", tree))])


def test_the_doc_of_a_schema_cannot_leave_its_docstring(module: ModuleType, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    doc = f'"""\nopen({str(trap)!r}, "w")\n"""'
    run(module, source({"name": "count", "type": "int", "doc": doc}))
    assert not trap.exists()


def test_the_same_schemas_give_the_same_text_in_any_order() -> None:
    one = source(a_field("count", "int"))
    two = source(a_field("count", "int"), a_field("more", "int", default=0), version="1.1.0")
    assert class_source.modules([one, two]) == class_source.modules([two, one])
