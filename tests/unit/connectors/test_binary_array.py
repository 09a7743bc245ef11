"""Arrays that are packed in C beside those that the driver encodes: the same bytes."""

import gc
import sys
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg import adapters
from psycopg.pq import Format

from connectors import native
from connectors.event_row import EventRow
from connectors.postgres.binary_array import BinaryArray, binary_array
from connectors.postgres.event_appender import _columns

TEXT_OID: Final = 25
NOW: Final = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)

needs_c = pytest.mark.skipif(not native.AVAILABLE, reason="no compiler was at hand")

texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=40)
bytes_ = st.binary(max_size=40) | st.builds(bytes, st.integers(50_000, 100_000))
times = st.datetimes(timezones=st.just(UTC)) | st.sampled_from(
    [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]
)
versions = st.integers(-(2**63), 2**63 - 1)
ELEMENTS: Final[dict[str, st.SearchStrategy[Any]]] = {
    "text": texts,
    "int2": st.integers(-(2**15), 2**15 - 1),
    "int4": st.integers(-(2**31), 2**31 - 1),
    "int8": versions,
    "timestamptz": times,
    "bytea": bytes_,
}
optional = st.none() | texts
rows = st.builds(
    EventRow,
    *(texts, texts, texts, ELEMENTS["int2"], texts, ELEMENTS["int4"], times, texts),
    *(optional, optional, optional, optional, st.none() | versions, optional, optional),
    *(bytes_, optional, optional),
)


def by_driver(make: Callable[[], Any]) -> Any:
    """What is made as if nothing was built."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "IN_USE", False)
        return make()


def in_c(make: Callable[[], Any]) -> Any:
    """What is made where the part in C is in use, if it is there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "IN_USE", native.AVAILABLE)
        return make()


def elements(element_type: str, sent: bytes) -> Any:
    """The elements of an array as the driver reads what Postgres sends."""
    array_oid = adapters.types[element_type].array_oid
    loader = adapters.get_loader(array_oid, Format.BINARY)
    assert loader is not None  # one is registered for each array
    return loader(array_oid, adapters).load(sent)


@given(st.data(), st.sampled_from(sorted(ELEMENTS)))
def test_both_forms_send_the_same_bytes(draw: st.DataObject, element_type: str) -> None:
    drawn = draw.draw(st.lists(st.none() | ELEMENTS[element_type], max_size=6))
    values = tuple(drawn)
    found = in_c(lambda: binary_array(element_type, values))
    assert found == by_driver(lambda: binary_array(element_type, values))
    assert type(found) is BinaryArray
    assert elements(element_type, found) == drawn


@given(st.lists(rows, min_size=1, max_size=4))
def test_columns_of_rows_are_the_same_in_both_forms(drawn: list[EventRow]) -> None:
    found = in_c(lambda: _columns(drawn))
    assert found == by_driver(lambda: _columns(drawn))
    assert elements("text", found["correlation_id"]) == [row.correlation_id for row in drawn]
    assert elements("bytea", found["framed"]) == [row.framed for row in drawn]
    assert elements("timestamptz", found["timestamp"]) == [row.timestamp for row in drawn]


@needs_c
@pytest.mark.parametrize("element_type", sorted(native.COLUMN_LETTERS))
def test_only_nulls_are_packed(element_type: str) -> None:
    type_ = adapters.types[element_type]
    packed = native.rows.pack_array(native.COLUMN_LETTERS[element_type], type_.oid, (None,) * 3)
    assert elements(element_type, packed) == [None] * 3


@needs_c
@pytest.mark.parametrize(
    ("column", "value"),
    [
        *(("t", value) for value in ("a\x00", "\x00é", "\ud800", 1, b"text")),
        *(("2", 2**15), ("4", -(2**31) - 1), ("8", 2**63), ("8", "1"), ("4", 1.0), ("4", True)),
        ("z", datetime(2026, 1, 1)),  # noqa: DTZ001  # without a zone
        ("z", NOW.astimezone(timezone(timedelta(hours=1)))),
        *(("b", "text"), ("b", bytearray(b"x")), ("?", 1), ("é", 1), ("🙂", 1)),
    ],
)
def test_what_is_out_of_the_ordinary_is_left_to_the_driver(column: str, value: object) -> None:
    assert native.rows.pack_array(column, TEXT_OID, (None, value)) is None


@needs_c
def test_no_values_are_left_to_the_driver() -> None:
    assert native.rows.pack_array("t", TEXT_OID, ()) is None
    assert elements("text", binary_array("text", ())) == []


@needs_c
@pytest.mark.parametrize(
    "arguments",
    [
        *((), ("t", TEXT_OID), ("t", TEXT_OID, ("a",), 1), ("tt", TEXT_OID, ("a",))),
        *(("t", TEXT_OID, ["a"]), ("t", "text", ("a",)), (b"tt", TEXT_OID, ("a",))),
    ],
)
def test_other_arguments_are_refused(arguments: tuple[object, ...]) -> None:
    with pytest.raises(TypeError):
        native.rows.pack_array(*arguments)


def test_the_driver_sends_what_the_part_in_c_does_not() -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert elements("timestamptz", binary_array("timestamptz", (elsewhere, None))) == [NOW, None]
    assert elements("bool", binary_array("bool", (True, None))) == [True, None]


@pytest.mark.parametrize("form", [in_c, by_driver])
def test_what_cannot_be_sent_is_said_by_the_driver(
    form: Callable[[Callable[[], Any]], Any],
) -> None:
    with pytest.raises(UnicodeEncodeError, match="surrogates"):
        form(lambda: binary_array("text", ("a", "\ud800")))


@needs_c
def test_nothing_is_kept_of_what_is_packed() -> None:
    text, source = "".join(["é", "t"]), "".join(["s", "t"])
    values: tuple[object, ...] = (text, None, source)
    unusual = (text, source, "a\x00"), ("\ud800", text), (source, 1), ()
    pack = native.rows.pack_array

    def some() -> int:
        for _ in range(300):
            assert pack("t", TEXT_OID, values) is not None
            assert pack("z", TEXT_OID, (NOW,)) is not None
            assert [pack("t", TEXT_OID, those) for those in unusual] == [None] * 4
            with suppress(TypeError):
                pack("t", TEXT_OID, [text])
        gc.collect()  # tuples that are kept to be used again
        return tracemalloc.get_traced_memory()[0]

    watched = text, source, values, NOW, None
    tracemalloc.start()
    try:
        before = min(some() for _ in range(4))
        holders = [*map(sys.getrefcount, watched)]
        after = min(some() for _ in range(4))
    finally:
        tracemalloc.stop()
    assert after < before + 3_000
    for count, known in zip(map(sys.getrefcount, watched), holders, strict=True):
        assert abs(count - known) < 50
