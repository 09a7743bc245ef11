"""Data records that people would not think of, with values that fit them."""

import string
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from math import isnan
from typing import Any, Final
from uuid import UUID

from hypothesis import strategies as st

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
longs = st.integers(-(1 << 63), (1 << 63) - 1)
small = st.integers(-200, 20_000)

SCALARS: Final[tuple[tuple[Any, st.SearchStrategy[Any]], ...]] = (
    ("null", st.none()),
    ("boolean", st.booleans()),
    ("int", small | st.integers(-(1 << 31), (1 << 31) - 1)),
    ("long", small | longs),
    ("float", st.floats(width=32, allow_nan=False)),
    ("double", st.floats(allow_nan=False)),
    ("bytes", st.binary(max_size=100)),
    ("string", texts),
    ({"type": "string"}, texts),
)
LOGICAL: Final[tuple[tuple[Any, st.SearchStrategy[Any]], ...]] = (
    (
        {"type": "long", "logicalType": "timestamp-millis"},
        st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001  # the zone is added
            lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
        ),
    ),
    (
        {"type": "long", "logicalType": "timestamp-micros"},
        st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001  # the zone is added
    ),
    ({"type": "int", "logicalType": "date"}, st.dates(date(1900, 1, 1), date(2200, 1, 1))),
    (
        {"type": "int", "logicalType": "time-millis"},
        st.times().map(lambda at: at.replace(microsecond=at.microsecond // 1000 * 1000)),
    ),
    ({"type": "long", "logicalType": "time-micros"}, st.times()),
    (
        {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2},
        st.decimals(-1_000_000, 1_000_000, places=2),
    ),
    ({"type": "string", "logicalType": "uuid"}, st.uuids()),
    ({"type": "string", "logicalType": "nobody-knows"}, texts),
)
Typed = tuple[Any, st.SearchStrategy[Any]]
"""A type and the values that fit it."""


class _Names:
    """Names that differ in one schema."""

    def __init__(self) -> None:
        self._used = 0

    def take(self, prefix: str) -> str:
        self._used += 1
        return f"{prefix}{self._used}"


def scalar(draw: Callable[..., Any]) -> Typed:
    """A type without parts."""
    kind, values = draw(st.sampled_from(SCALARS + LOGICAL))
    return kind, values


def typed(draw: Callable[..., Any], names: _Names, depth: int) -> Typed:
    """A type with its values, nested at most `depth` deep."""
    shape = draw(
        st.sampled_from(
            ["scalar", "scalar", "nullable", "enum"]
            + (["array", "map", "record", "fixed"] if depth else [])
        )
    )
    if shape == "scalar":
        return scalar(draw)
    if shape == "enum":
        symbols = list(string.ascii_lowercase[: draw(st.integers(1, 4))])
        return {"type": "enum", "name": names.take("Kind"), "symbols": symbols}, st.sampled_from(
            symbols
        )
    if shape == "fixed":
        size = draw(st.integers(1, 20))
        kind = {"type": "fixed", "name": names.take("Fixed"), "size": size}
        return kind, st.binary(min_size=size, max_size=size)
    if shape == "record":
        return record(draw, names, depth - 1)
    inner, values = typed(draw, names, max(depth - 1, 0))
    if shape == "nullable":
        if inner == "null" or isinstance(inner, list):
            return inner, values
        branches = draw(st.permutations(["null", inner]))
        return list(branches), st.none() | values
    if shape == "map":
        return {"type": "map", "values": inner}, st.dictionaries(texts, values, max_size=4)
    if inner == "null" or (isinstance(inner, dict) and inner.get("fields") == []):
        inner, values = "int", small
    return {"type": "array", "items": inner}, st.lists(values, max_size=5)


def record(draw: Callable[..., Any], names: _Names, depth: int, least: int = 1) -> Typed:
    """A record with its values; a field may name a type that stands before it."""
    fields: dict[str, Typed] = {}
    known: list[Typed] = []
    for _ in range(draw(st.integers(least, 5))):
        if known and draw(st.booleans()):
            one = draw(st.sampled_from(known))
        else:
            one = typed(draw, names, depth)
            if isinstance(one[0], dict) and "name" in one[0]:
                known.append((one[0]["name"], one[1]))
        fields[names.take("field")] = one
    schema = {
        "type": "record",
        "name": names.take("Record"),
        "doc": "A record.",
        "fields": [
            {"name": name, "type": kind, "doc": "A field."} for name, (kind, _) in fields.items()
        ],
    }
    return schema, st.fixed_dictionaries({name: values for name, (_, values) in fields.items()})


@st.composite
def records(draw: Callable[..., Any]) -> tuple[dict[str, Any], Mapping[str, Any]]:
    """A data record and a value that fits it."""
    schema, values = record(draw, _Names(), draw(st.integers(0, 3)), least=0)
    return schema, draw(values)


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same types all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isnan(one):
        return isnan(other)
    assert one is None or isinstance(
        one, bool | int | float | str | bytes | date | time | Decimal | UUID
    )
    return bool(one == other)
