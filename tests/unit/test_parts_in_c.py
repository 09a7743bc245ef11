"""Each part in C is built where a compiler is, and used where it is wanted and of this release."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from operator import attrgetter
from typing import Final

import pytest

from tests.unit.parts_in_c import can_be_built


@dataclass(frozen=True, slots=True)
class Part:
    """Where what stands, as paths of names."""

    module: str
    format: str
    """The number that it and the module of ours that knows it must have alike."""
    known_to: str
    is_available: str
    is_used: str
    stands_in: tuple[tuple[str, str], ...]
    """What is another object than the form in Python where the part is used."""

    def __str__(self) -> str:
        return self.module.rpartition("_")[2]

    @property
    def looked_at(self) -> list[str]:
        """Expressions that are true where the part is used, and false elsewhere."""
        return [self.is_used, *(f"{one} is not {other}" for one, other in self.stands_in)]


PARTS: Final = (
    Part(
        "schemas._native_reading",
        "PROGRAM_FORMAT",
        "schemas.native",
        "AVAILABLE",
        "schemas.native.IN_USE",
        (("type(schemas.event.Event.__dict__['data'])", "property"),),
    ),
    Part(
        "schemas._native_writing",
        "WRITING_FORMAT",
        "schemas.native",
        "WRITING_AVAILABLE",
        "schemas.native.WRITING_IN_USE",
        (("schemas.prefix_writer.write_envelope", "schemas.prefix_writer._judged"),),
    ),
    Part(
        "streams.kafka._native_records",
        "UNPACK_FORMAT",
        "streams.native",
        "RECORDS_AVAILABLE",
        "streams.kafka.record_batches.IN_USE",
        (),
    ),
    Part(
        "streams._native_folding",
        "FOLDING_FORMAT",
        "streams.native",
        "AVAILABLE",
        "streams.native.IN_USE",
        (
            ("streams.claims.new_claims", "streams.claims.ClaimsInPython"),
            (
                "streams.one_source.one_source_entries",
                "streams.one_source.OneSourceEntriesInPython",
            ),
            ("streams.plain_events.plain_events", "streams.plain_events.PlainEventsInPython"),
            ("streams.viewing.view_known", "streams.viewing.view_in_python"),
            ("streams.viewing.are_known", "streams.viewing.are_known_in_python"),
        ),
    ),
    Part(
        "connectors._native_rows",
        "ROWS_FORMAT",
        "connectors.native",
        "AVAILABLE",
        "connectors.native.IN_USE",
        (("connectors.event_row._made", "connectors.event_row._judged"),),
    ),
)
IMPORTED: Final = (
    "schemas.event, schemas.native, schemas.prefix_writer, streams.native, streams.claims,"
    "streams.one_source, streams.plain_events, streams.viewing, streams.kafka.record_batches,"
    "connectors.native, connectors.event_row"
)
each_part: Final = pytest.mark.parametrize("part", PARTS, ids=str)


@each_part
def test_it_is_built_where_a_compiler_is(part: Part) -> None:
    assert is_available(part) or not can_be_built()


@each_part
def test_both_sides_mean_the_same_format(part: Part) -> None:
    if is_available(part):
        ours, theirs = import_module(part.known_to), import_module(part.module)
        assert getattr(ours, part.format) == getattr(theirs, part.format)


@each_part
def test_a_process_uses_it_unless_it_is_told_not_to(part: Part) -> None:
    for setting, is_wanted in {"": True, "0": True, "1": False}.items():
        found = looked_at(part, environment={"WUNDR_PURE": setting})
        assert found == {it: is_wanted and is_available(part) for it in part.looked_at}


@each_part
@pytest.mark.parametrize("how", ["not built", "of another release"])
def test_it_is_not_used_where_it_is(part: Part, how: str) -> None:
    other = "None" if how == "not built" else "types.ModuleType(name)"
    before = f"import sys, types; name = {part.module!r}; sys.modules[name] = {other};"
    if how != "not built":
        before += f"sys.modules[name].{part.format} = 0;"
    assert looked_at(part, before=before) == dict.fromkeys(part.looked_at, False)


def is_available(part: Part) -> bool:
    return attrgetter(part.is_available)(import_module(part.known_to)) is True


def looked_at(
    part: Part, *, before: str = "", environment: Mapping[str, str] | None = None
) -> dict[str, bool]:
    """What a process of its own says of each expression."""
    program = f"{before}import {IMPORTED}; print({', '.join(part.looked_at)})"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"WUNDR_PURE": ""} | dict(environment or {}),
        capture_output=True,
        text=True,
        check=True,
    )
    found = [word == "True" for word in done.stdout.split()]
    return dict(zip(part.looked_at, found, strict=True))
