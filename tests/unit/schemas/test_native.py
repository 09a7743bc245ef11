"""The readers in C beside those in Python: the same answer to everything, and nothing kept."""

import sys
from collections.abc import Callable, Mapping
from types import BuiltinMethodType
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import native
from schemas.catalog import Catalog
from schemas.class_source import UnsupportedType
from schemas.codec import Codec
from schemas.errors import TruncatedEvent
from schemas.event import Event
from schemas.events import DATA_TYPES
from schemas.framing import HEADER_SIZE
from schemas.native import Step
from tests.unit.schemas.avro_values import records, same
from tests.unit.schemas.readings import IN_PYTHON, NO_DATA, READINGS, Reading
from tests.unit.schemas.samples import factory, file_processed
from tests.unit.schemas.test_data_reader import class_of, source_of, written
from tests.unit.schemas.test_event_view import events

CATALOG: Final = Catalog.load()
CODEC: Final = Codec(CATALOG)
COMPOSED: Final = CATALOG.writer_schema("analysis.file.processed", "1.1.0").record()
EVENT: Final = factory(CATALOG).create(file_processed(), aggregate_id="a1:schemas/event.py")
VIEWS: Final = {reading: reading.view(COMPOSED, NO_DATA) for reading in READINGS}


def answer(read: Callable[..., Any], *arguments: Any) -> Any:
    """What is read, or the error's class and message."""
    try:
        found = read(*arguments)
    except TruncatedEvent as error:
        return type(error), str(error)
    return (found.envelope, found._offset, found.framed) if isinstance(found, Event) else found


def damage(draw: st.DataObject, value: bytes) -> bytes:
    """The bytes with some of them changed, cut off, or put in."""
    damaged = bytearray(value)
    for _ in range(draw.draw(st.integers(1, 3))):
        place = draw.draw(st.integers(0, len(damaged)))
        match draw.draw(st.sampled_from(["flip", "cut", "insert"])):
            case "flip" if place < len(damaged):
                damaged[place] ^= 1 << draw.draw(st.integers(0, 7))
            case "cut":
                del damaged[place:]
            case _:
                damaged[place:place] = draw.draw(st.binary(max_size=11))
    return bytes(damaged)


def test_both_sides_mean_the_same_steps() -> None:
    if native.AVAILABLE:
        assert {step.name: getattr(native.reading, step.name) for step in Step} == dict(
            Step.__members__
        )


@pytest.mark.parametrize("key", sorted(DATA_TYPES))
def test_every_schema_of_the_catalog_is_read_in_c(key: tuple[str, str]) -> None:
    schema = CATALOG.writer_schema(*key)
    for reading in READINGS[1:]:
        for read in (
            reading.view(schema.record(), NO_DATA),
            reading.wire(schema.data_record()),
            reading.typed(schema.data_record(), DATA_TYPES[key]),
        ):
            assert isinstance(read, BuiltinMethodType)


@given(events, st.data())
def test_a_damaged_event_gets_the_same_answer(event: Event[Any], draw: st.DataObject) -> None:
    value = CODEC.encode(event)
    value = value[:HEADER_SIZE] + damage(draw, value[HEADER_SIZE:])
    expected = answer(VIEWS[IN_PYTHON], value)
    for view in VIEWS.values():
        assert answer(view, value) == expected


@given(records(), st.data())
def test_damaged_data_get_the_same_answer(
    one: tuple[dict[str, Any], Mapping[str, Any]], draw: st.DataObject
) -> None:
    record, value = one
    damaged = damage(draw, written(record, value))
    offset = draw.draw(st.integers(0, len(damaged) + 2))
    expected = answer(IN_PYTHON.wire(record), damaged, offset)
    for reading in READINGS:
        assert alike(answer(reading.wire(record), damaged, offset), expected)


@given(records(), st.data())
def test_damaged_data_of_a_class_get_the_same_answer(
    one: tuple[dict[str, Any], Mapping[str, Any]], draw: st.DataObject
) -> None:
    record, value = one
    schema = source_of(record).record
    damaged = damage(draw, written(schema, value))
    try:
        data_type = class_of(record)
    except UnsupportedType:
        return
    expected = answer(IN_PYTHON.typed(schema, data_type), damaged, 0)
    for reading in READINGS:
        found = answer(reading.typed(schema, data_type), damaged, 0)
        assert type(found) is type(expected)
        assert repr(found) == repr(expected)


def alike(one: Any, other: Any) -> bool:
    """Two answers of one kind."""
    return one == other if isinstance(one, tuple) else same(one, other)


@pytest.mark.parametrize("reading", READINGS, ids=str)
def test_nothing_is_kept_of_what_was_read(reading: Reading) -> None:
    view, whole = reading.view(COMPOSED, NO_DATA), CODEC.encode(EVENT)
    broken = whole[:60] + b"\xff" * 20
    data_record = CATALOG.writer_schema("analysis.file.processed", "1.1.0").data_record()
    read = reading.typed(data_record, DATA_TYPES["analysis.file.processed", "1.1.0"])
    offset = CODEC.view(whole)._offset

    def some() -> int:
        for _ in range(300):
            answer(view, whole)
            answer(view, broken)
            answer(read, whole, offset)
            answer(read, whole, offset - 1)
            answer(read, whole[:-3], offset)
        return sys.getallocatedblocks()

    before = min(some() for _ in range(3))
    assert some() < before + 50


def test_what_ends_a_program_is_not_answered_by_the_reader_in_python() -> None:
    def interrupted(_value: Any) -> Any:
        raise KeyboardInterrupt

    if native.AVAILABLE:
        program = (Step.CONVERTED, interrupted, (Step.INT,))
        reader = native.reading.Reader(None, ((None, program),), (), lambda *_: "asked")
        with pytest.raises(KeyboardInterrupt):
            reader.read_data(b"\x02", 0)
        assert reader.read_data(b"", 0) == "asked"


@pytest.mark.parametrize(
    "program",
    [
        (),
        (99,),
        (-1,),
        ("x",),
        [Step.INT],
        (Step.ENUM,),
        (Step.ENUM, ["a"]),
        (Step.FIXED,),
        (Step.UNION, [(Step.INT,)]),
        (Step.MAPPING, ("a", "b"), ((Step.INT,),)),
        (Step.ZEROS_AS, 0, None, (Step.INT,)),
        (Step.NAMED_TUPLE, dict, (), ()),
        (Step.NAMED_TUPLE, Event, (0,), ((Step.INT,),)),
    ],
)
def test_what_is_no_program_is_refused(program: Any) -> None:
    if native.AVAILABLE:
        with pytest.raises((TypeError, ValueError, AttributeError)):
            native.reading.Reader(None, ((None, program),), (), print)


@pytest.mark.parametrize("name", ["id", "type", "aggregate", "data"])
def test_an_event_cannot_be_changed(name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(EVENT, name, None)
    with pytest.raises(AttributeError):
        delattr(EVENT, name)


def test_only_slots_of_the_class_are_filled() -> None:
    if native.AVAILABLE:
        slot, program = Event.__dict__["_id"], (Step.TEXT,)
        for kind in (int, type("Open", (), {}), type("Other", (), {"__slots__": ("x",)})):
            with pytest.raises(TypeError):
                native.reading.Reader(kind, ((slot, program),), (), print)
