"""Rows that are made in C beside those made in Python: the same answer to everything."""

import struct
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from datetime import time as clock
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import native
from connectors.errors import Unstorable
from connectors.event_row import (
    LONGEST_KEY_BYTES,
    EventRow,
    _command_id,
    _described,
    _judged,
    _shared,
    event_row,
)
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.envelope import Aggregate, Metadata
from schemas.errors import WundrError
from schemas.event import Event
from streams.appending import COMMAND_ID
from tests.unit.schemas.samples import factory, file_processed
from tests.unit.schemas.test_event_view import events

CATALOG: Final = Catalog.load()
CODEC: Final = Codec(CATALOG)
EVENT: Final = factory(CATALOG).create(file_processed(), aggregate_id="a1:schemas/event.py")
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_2000: Final = datetime(2000, 1, 1, tzinfo=UTC)

needs_c = pytest.mark.skipif(not native.AVAILABLE, reason="no compiler was at hand")

texts = (
    st.none() | st.text(max_size=40) | st.text("\x00aé\ud800", max_size=5) | st.just("a" * 1_001)
)
versions = st.none() | st.integers(1, 2**31)
extras = st.dictionaries(st.sampled_from([COMMAND_ID, "tab"]), st.text("a\x00", max_size=600))
times = st.integers(-62_135_596_800_000, 253_402_300_799_999) | st.integers(-(2**70), 2**70)


@st.composite
def told(draw: st.DrawFn) -> Event[Any]:
    """Events with all that an envelope may say, storable or not."""
    event = draw(events)
    return Event(
        event.envelope._replace(
            id=draw(st.text(min_size=1, max_size=40)),
            timestamp_ms=draw(times),
            correlation_id=draw(texts),
            causation_id=draw(texts),
            aggregate=draw(
                st.none() | st.builds(Aggregate, st.text(max_size=5), st.text(), versions)
            ),
            metadata=draw(st.builds(Metadata, texts, texts, st.none(), extras)),
        ),
        event.data,
    )


def answer(make: Callable[[], Any]) -> Any:
    """What is made, or the error's class and message."""
    try:
        return make()
    except (WundrError, UnicodeEncodeError) as error:
        return type(error), str(error)


@given(told(), st.binary(min_size=4, max_size=8).map(b"\x00".__add__), texts)
def test_a_row_is_that_which_python_makes(event: Event[Any], framed: bytes, data: str) -> None:
    if native.AVAILABLE:
        expected = answer(lambda: _judged(event, framed, data))
        found = answer(lambda: maker().make(event, framed, data))
        assert found == expected
        assert type(found) is type(expected)
        assert list(map(type, found)) == list(map(type, expected))
        assert hash(found) == hash(expected)


@needs_c
@pytest.mark.parametrize(
    "day",
    [
        *(date(1, 1, 1), date(1600, 2, 29), date(1900, 2, 28), date(1900, 3, 1)),
        *(date(1969, 12, 31), date(1970, 1, 1), date(2000, 2, 29), date(2000, 3, 1)),
        *(date(2026, 12, 31), date(2400, 2, 29), date(9999, 12, 31)),
    ],
)
def test_every_day_of_the_calendar_is_that_of_python(day: date) -> None:
    time = datetime.combine(day, clock(23, 59, 59, 999_000), UTC)
    ms = (time - EPOCH) // timedelta(milliseconds=1)
    event = Event(EVENT.envelope._replace(timestamp_ms=ms), EVENT.data)
    row = maker(fallback=lambda *_: pytest.fail("asked")).make(event, CODEC.encode(EVENT), None)
    assert row.timestamp == time
    block, _ = native.rows.pack("z", [(row.timestamp,)], 0, 1)
    assert unpacked("z", block) == [(time,)]


@needs_c
@pytest.mark.parametrize("time", [True, 1.5, None, "1"])
def test_a_time_that_is_no_whole_number_is_judged_in_python(time: object) -> None:
    event = Event(EVENT.envelope._replace(timestamp_ms=time), EVENT.data)  # type: ignore[arg-type]  # on purpose
    assert maker(fallback=lambda *_: "asked").make(event, CODEC.encode(EVENT), None) == "asked"


def maker(fallback: Any = _judged) -> Any:
    return native.rows.RowMaker(
        EventRow, LONGEST_KEY_BYTES, _shared, _described, _command_id, fallback
    )


@needs_c
def test_a_plain_row_is_made_without_python() -> None:
    framed = CODEC.encode(EVENT)
    row = maker(fallback=lambda *_: pytest.fail("asked")).make(CODEC.view(framed), framed, "{}")
    assert row == _judged(EVENT, framed, "{}")


@needs_c
@pytest.mark.parametrize("wrong", [b"", b"\x01abcd", b"\x00abc"])
def test_bytes_that_are_no_event_are_judged_in_python(wrong: bytes) -> None:
    assert maker(fallback=lambda *_: "asked").make(EVENT, wrong, None) == "asked"


@needs_c
def test_what_ends_a_program_is_not_answered_by_python() -> None:
    class Interrupted:
        @property
        def id(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        maker(fallback=lambda *_: "asked").make(Interrupted(), b"", None)


@needs_c
def test_nothing_is_kept_of_a_row() -> None:
    framed, make = CODEC.encode(EVENT), maker().make
    broken = Event(EVENT.envelope._replace(id="\x00"), EVENT.data)
    commanded = Event(
        EVENT.envelope._replace(
            aggregate=Aggregate("SourceFile", "a1", 2),
            metadata=Metadata(extra={COMMAND_ID: "c1"}),
        ),
        EVENT.data,
    )
    described = _described(EVENT.source, "SourceFile")

    def some() -> int:
        for _ in range(300):
            row = make(EVENT, framed, None)
            assert make(commanded, framed, None).command_id == "c1"
            answer(lambda: make(broken, framed, None))
            native.rows.pack("t" * 5, [row[:3] + row[7:9]], 0, 1)
            native.rows.pack("t4", [("é", 1), ("a\x00", 2)], 0, 1_000)
        return sys.getallocatedblocks()

    before, holders = min(some() for _ in range(3)), sys.getrefcount(described)
    assert some() < before + 50
    assert sys.getrefcount(described) == holders


def test_an_event_that_cannot_be_stored_is_refused_by_name() -> None:
    broken = Event(EVENT.envelope._replace(id="\x00"), EVENT.data)
    with pytest.raises(Unstorable, match=r"^id holds a NUL"):
        event_row(broken, CODEC.encode(EVENT), with_json=False)


def unpacked(columns: str, packed: bytes) -> list[tuple[Any, ...]]:
    """The rows that are in a block, read by the words of Postgres' manual on COPY."""
    rows, at = [], 0
    while at < len(packed):
        (count,) = struct.unpack_from(">h", packed, at)
        assert count == len(columns)
        at += 2
        row = []
        for column in columns:
            (size,) = struct.unpack_from(">i", packed, at)
            at += 4
            row.append(None if size < 0 else value_of(column, packed[at : at + size]))
            at += max(size, 0)
        rows.append(tuple(row))
    return rows


def value_of(column: str, sent: bytes) -> Any:
    match column:
        case "t":
            return sent.decode()
        case "b":
            return sent
        case "z":
            return EPOCH_2000 + timedelta(microseconds=int.from_bytes(sent, "big", signed=True))
        case _:
            assert len(sent) == int(column)
            return int.from_bytes(sent, "big", signed=True)


sendable = {
    "t": st.text(st.characters(codec="utf-8", exclude_characters="\x00")),
    "2": st.integers(-(2**15), 2**15 - 1),
    "4": st.integers(-(2**31), 2**31 - 1),
    "8": st.integers(-(2**63), 2**63 - 1),
    "z": st.datetimes(timezones=st.just(UTC)),
    "b": st.binary(),
}


@needs_c
@given(st.data(), st.text(st.sampled_from("".join(sendable)), min_size=1, max_size=8))
def test_what_is_packed_is_what_was_given(draw: st.DataObject, columns: str) -> None:
    row = st.tuples(*(st.none() | sendable[column] for column in columns))
    rows = draw.draw(st.lists(row, max_size=5))
    most = draw.draw(st.integers(1, 200))
    found: list[tuple[Any, ...]] = []
    at = 0
    while at < len(rows):
        block, following = native.rows.pack(columns, rows, at, most)
        assert following > at
        found += unpacked(columns, block)
        at = following
    assert found == rows


@needs_c
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("t", "a\x00"),
        ("t", "\x00é"),
        ("t", "\ud800"),
        ("t", 1),
        ("t", b"text"),
        ("2", 2**15),
        ("4", -(2**31) - 1),
        ("8", 2**63),
        ("8", "1"),
        ("4", 1.0),
        ("z", datetime(2026, 1, 1)),  # noqa: DTZ001  # without a zone
        ("z", datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=1)))),
        ("z", "now"),
        ("b", "text"),
        ("b", bytearray(b"x")),
        ("?", 1),
    ],
)
def test_what_is_out_of_the_ordinary_is_left_to_the_driver(column: str, value: object) -> None:
    assert native.rows.pack("4" + column, [(1, None), (2, value)], 0, 1_000) is None


@needs_c
def test_a_block_ends_behind_the_row_that_fills_it() -> None:
    block, following = native.rows.pack("4", [(1,)] * 3, 0, 1)
    assert (unpacked("4", block), following) == ([(1,)], 1)


@needs_c
@pytest.mark.parametrize("row", [(), (1, 2), [1]])
def test_a_row_of_other_columns_is_left_to_the_driver(row: object) -> None:
    assert native.rows.pack("4", [row], 0, 1_000) is None
