"""Folding in C is built where it can be, and a process can do without it."""

import os
import subprocess
import sys

import pytest

from streams import native
from tests.unit.parts_in_c import can_be_built


def test_they_are_built_where_a_compiler_is() -> None:
    assert native.AVAILABLE or not can_be_built()


@pytest.mark.parametrize(("setting", "in_use"), [("1", False), ("0", native.AVAILABLE)])
def test_a_process_can_do_without_them(setting: str, in_use: bool) -> None:
    program = (
        "from streams import claims, native, one_source, plain_events, viewing;"
        "print(native.IN_USE, claims.new_claims is not claims.ClaimsInPython,"
        "one_source.one_source_entries is not one_source.OneSourceEntriesInPython,"
        "plain_events.plain_events is not plain_events.PlainEventsInPython,"
        "viewing.view_known is not viewing.view_in_python,"
        "viewing.are_known is not viewing.are_known_in_python)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"WUNDR_PURE": setting},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [str(in_use)] * 6


def test_a_part_of_another_release_is_not_used() -> None:
    program = (
        "import sys, types; other = types.ModuleType('streams._native_folding');"
        "other.FOLDING_FORMAT = 0; sys.modules[other.__name__] = other;"
        "from streams import native, viewing; print(native.IN_USE)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_both_sides_mean_the_same_format() -> None:
    if native.folding is not None:
        assert native.folding.FOLDING_FORMAT == native.FOLDING_FORMAT
