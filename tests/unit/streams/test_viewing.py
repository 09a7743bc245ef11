"""Events of many records that are viewed in C beside those that are viewed in Python."""

import sys
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import NotAnEvent, SchemaError
from schemas.event import Event
from streams.records import RawRecord
from streams.viewing import Views
from tests.unit.streams.folding_forms import FORMS, Form, answer, each_form, needs_c
from tests.unit.streams.tabling import PARTITION

GOOD: Final = b"\x00\x00\x00\x00\x01"
OTHER: Final = b"\x00\x00\x00\x00\x02"
NO_EVENT: Final = b"\x00\x00\x00\x00\x03"
BROKEN: Final = b"\x00\x00\x00\x00\x04"
ENDING: Final = b"\x00\x00\x00\x00\x05"
UNKNOWN: Final = b"\x00\x00\x00\x00\x09"


class Broken(Exception):
    """What reads the event does not work."""


def good(value: bytes) -> Any:
    return "good", value


def other(value: bytes) -> Any:
    return "other", value


def no_event(value: bytes) -> Event[Any]:
    raise NotAnEvent(f"{value!r} is none")


def broken(value: bytes) -> Event[Any]:
    raise Broken(value)


def ending(_value: bytes) -> Event[Any]:
    raise KeyboardInterrupt


def views() -> Views:
    return {GOOD: good, OTHER: other, NO_EVENT: no_event, BROKEN: broken, ENDING: ending}


def read(*values: bytes | None) -> list[RawRecord]:
    return [
        RawRecord("t", PARTITION, offset, 0, b"k", value) for offset, value in enumerate(values)
    ]


frames = st.sampled_from([GOOD] * 4 + [OTHER] * 2)
readable = st.builds(bytes.__add__, frames, st.binary(max_size=2))
unreadable = (
    st.none()
    | st.binary(max_size=6)
    | st.builds(bytes.__add__, st.just(UNKNOWN), st.binary(max_size=2))
)
raising = st.builds(bytes.__add__, st.sampled_from([NO_EVENT, BROKEN]), st.binary(max_size=2))


@given(
    st.lists(readable)
    | st.lists(readable | raising)
    | st.lists(readable | unreadable)
    | st.lists(readable, min_size=1).map(lambda values: [*values, None])
)
def test_every_form_views_the_same(values: list[bytes | None]) -> None:
    records = read(*values)
    expected = answer(FORMS[0].view, views(), records)
    for form in FORMS:
        for given_ in (records, tuple(records)):
            assert answer(form.view, views(), given_) == expected


@given(st.lists(readable | unreadable | raising))
def test_every_form_knows_the_same(values: list[bytes | None]) -> None:
    records = read(*values)
    expected = all(value is None or value[:5] in views() for value in values)
    for form in FORMS:
        for given_ in (records, tuple(records)):
            assert form.are_known(views(), given_) is expected


@each_form
def test_events_are_those_of_the_readers_of_their_records(form: Form) -> None:
    values = (GOOD + b"1", GOOD, OTHER + b"2", OTHER + b"3", GOOD + b"4")
    expected: list[Any] = [
        *(("good", values[0]), ("good", values[1]), ("other", values[2])),
        *(("other", values[3]), ("good", values[4])),
    ]
    assert form.view(views(), read(*values)) == expected
    assert form.are_known(views(), read(*values)) is True
    assert form.view(views(), []) == []
    assert form.view({}, ()) == []
    assert form.are_known({}, []) is True


@each_form
@pytest.mark.parametrize("value", [b"", b"\x00", GOOD[:4], UNKNOWN, UNKNOWN + b"1", b"\x01" * 9])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_what_nothing_reads_is_looked_at_closer(form: Form, value: bytes, place: int) -> None:
    values: list[bytes | None] = [GOOD, OTHER]
    values.insert(place, value)
    assert form.view(views(), read(*values)) is None
    assert form.are_known(views(), read(*values)) is False
    assert form.are_known({}, read(value)) is False
    ends_in_zero: Views = {value[:4] + b"\x00": good}
    assert form.view(ends_in_zero, read(value[:4])) is None
    assert form.are_known(ends_in_zero, read(value[:4])) is False


@each_form
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_record_without_a_value_has_no_event_and_needs_no_reader(form: Form, place: int) -> None:
    values: list[bytes | None] = [GOOD, GOOD + b"1"]
    values.insert(place, None)
    assert form.view(views(), read(*values)) is None
    assert form.are_known(views(), read(*values)) is True
    assert form.are_known(views(), read(*values, None, UNKNOWN)) is False
    assert form.are_known({}, read(None, None)) is True


@each_form
@pytest.mark.parametrize(
    ("frame", "error"), [(NO_EVENT, SchemaError), (BROKEN, Broken), (ENDING, KeyboardInterrupt)]
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_what_a_reader_raises_is_raised(
    form: Form, frame: bytes, error: type[BaseException], place: int
) -> None:
    values: list[bytes | None] = [GOOD, OTHER]
    values.insert(place, frame)
    with pytest.raises(error):
        form.view(views(), read(*values))
    assert form.are_known(views(), read(*values)) is True


@each_form
def test_a_reader_may_be_forgotten_while_it_reads(form: Form) -> None:
    known: Views = {}

    def forgets(value: bytes) -> Any:
        known.clear()
        return value

    known[GOOD] = forgets
    del forgets
    values: list[Any] = [GOOD + b"1", GOOD + b"2"]
    assert form.view(known, read(*values)) == values


@needs_c
@pytest.mark.parametrize("record", [None, (), ("t", 3, 0), [1] * 7, "1234567"])
def test_what_is_no_record_is_looked_at_closer_in_c(record: Any) -> None:
    assert FORMS[-1].view(views(), [*read(GOOD), record]) is None
    assert FORMS[-1].are_known(views(), [*read(GOOD), record]) is False


@needs_c
@pytest.mark.parametrize("value", ["text", 5, bytearray(GOOD), memoryview(GOOD)])
def test_a_value_that_is_no_bytes_is_looked_at_closer_in_c(value: Any) -> None:
    assert FORMS[-1].view(views(), read(GOOD, value)) is None
    assert FORMS[-1].are_known(views(), read(GOOD, value)) is False


@needs_c
@pytest.mark.parametrize("given_", [(), ({},), ({}, [], 1), ([], []), ({}, None), ({}, 1)])
def test_other_arguments_are_refused_in_c(given_: tuple[Any, ...]) -> None:
    for ask in (FORMS[-1].view, FORMS[-1].are_known):
        with pytest.raises(TypeError):
            ask(*given_)


@each_form
def test_nothing_is_kept_of_what_was_viewed(form: Form) -> None:
    known = views()
    batches = [
        read(GOOD + b"1", OTHER + b"2", GOOD + b"3"),
        read(GOOD, None),
        read(GOOD, UNKNOWN),
        read(GOOD, b""),
        read(GOOD, OTHER, NO_EVENT),
        read(BROKEN),
    ]
    watched: list[Any] = [good, other, broken, no_event, batches[0][0].value, batches[0][1], None]

    def some() -> int:
        for _ in range(200):
            for records in batches:
                answer(form.view, known, records)
                answer(form.view, known, tuple(records))
                form.are_known(known, records)
            answer(form.view, known, 1)
        return sys.getallocatedblocks()

    *_, before = [some() for _ in range(5)]
    holders = [*map(sys.getrefcount, watched)]
    assert some() < before + 50
    for count, expected in zip(map(sys.getrefcount, watched), holders, strict=True):
        assert abs(count - expected) < 50
