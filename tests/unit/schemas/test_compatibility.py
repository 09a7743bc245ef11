from typing import Any

import pytest

from schemas.compatibility import incompatibilities
from schemas.errors import Fault
from tests.unit.schemas.schema_files import field, source

DECIMAL = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}
MILLIS = {"type": "long", "logicalType": "timestamp-millis"}
MICROS = {"type": "long", "logicalType": "timestamp-micros"}


def item(*fields: Any) -> dict[str, Any]:
    return {"type": "record", "name": "Item", "doc": "An item.", "fields": list(fields)}


def enum(*symbols: str, **attributes: Any) -> dict[str, Any]:
    return {"type": "enum", "name": "Kind", "symbols": list(symbols)} | attributes


def faults(*versions: list[dict[str, Any]]) -> list[Fault]:
    """The faults of minor versions with these fields beside those of the sound record."""
    return incompatibilities(
        source(f"1.{minor}.0", more=fields) for minor, fields in enumerate(versions)
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([], [field("note", ["null", "string"], default=None)]),
        ([field("note", "string", default="")], []),
        ([field("note", "string")], [field("note", "string", doc="Said otherwise.")]),
        ([field("k", enum("A", default="A"))], [field("k", enum("A", "B", default="A"))]),
        ([field("at", MILLIS)], [field("at", MILLIS)]),
        (
            [field("i", item(field("a", "int")))],
            [field("i", item(field("a", "int"), field("b", "int", default=0)))],
        ),
    ],
)
def test_what_both_releases_can_read_is_allowed(before: Any, after: Any) -> None:
    assert faults(before, after) == []


@pytest.mark.parametrize(
    ("before", "after", "path"),
    [
        ([], [field("note", "string")], "note"),
        ([field("note", "string")], [], "note"),
        ([field("n", "int")], [field("n", "long")], "n"),
        ([field("n", "string")], [field("n", "int")], "n"),
        ([field("n", ["null", "int"])], [field("n", "int")], "n"),
        ([field("k", enum("A"))], [field("k", enum("A", "B"))], "k"),
        ([field("at", MILLIS)], [field("at", MICROS)], "at"),
        ([field("at", "long")], [field("at", MILLIS)], "at"),
        ([field("at", ["null", MILLIS])], [field("at", ["null", MICROS])], "at"),
        ([field("p", DECIMAL)], [field("p", DECIMAL | {"scale": 3})], "p"),
        ([field("i", item(field("a", "int")))], [field("i", item(field("b", "int")))], "i.b"),
        (
            [field("l", {"type": "array", "items": MILLIS})],
            [field("l", {"type": "array", "items": MICROS})],
            "l[]",
        ),
        (
            [field("m", {"type": "map", "values": DECIMAL})],
            [field("m", {"type": "map", "values": DECIMAL | {"precision": 10}})],
            "m{}",
        ),
    ],
)
def test_what_one_release_cannot_read_is_refused_at_its_path(
    before: Any, after: Any, path: str
) -> None:
    found = faults(before, after)
    assert path in [fault.path for fault in found]
    assert {fault.file for fault in found} == {"domain/order.placed/1.1.0.avsc"}
    assert all(fault.remedy for fault in found)


def test_every_version_is_held_against_every_other_not_only_its_neighbour() -> None:
    found = faults([field("a", "int", default=0)], [], [field("a", "string", default="")])
    assert {(fault.file, fault.path) for fault in found} == {
        ("domain/order.placed/1.2.0.avsc", "a")
    }
    assert any("1.0.0" in fault.problem for fault in found)


def test_a_new_major_may_break_with_the_old_one() -> None:
    old = source(more=[field("n", "int")])
    new = source("2.0.0", name="OrderPlaced2", more=[field("n", "string")])
    assert incompatibilities([old, new]) == []
