"""Times, versions and offsets as people write them on a command line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

import typer

from connectors.past_state import AsOf, parsed_time

OFFSETS: Final = re.compile(r"(?P<partition>\d+):(?P<first>\d+)(-(?P<end>\d*))?")


def point_in_time(text: str, option: str) -> datetime:
    """A time in ISO 8601; UTC where it names no zone. Raises BadParameter."""
    try:
        return parsed_time(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def as_of(text: str | None) -> AsOf | None:
    """A time, or a version where it is a whole number. Raises BadParameter."""
    try:
        return None if text is None else AsOf.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--at") from error


def offsets(given: Iterable[str]) -> Mapping[int, tuple[int, int | None]]:
    """Ranges of offsets by partition, from `PARTITION:FIRST-END`. Raises BadParameter."""
    found: dict[int, tuple[int, int | None]] = {}
    for text in given:
        parsed = OFFSETS.fullmatch(text)
        if parsed is None:
            raise typer.BadParameter(
                f"{text!r} is no range: write it as 2:1000-2000, or 2:1000", param_hint="--offset"
            )
        end = parsed["end"]
        found[int(parsed["partition"])] = (int(parsed["first"]), None if not end else int(end))
    return found


def lasting(milliseconds: int) -> str:
    """How long something has lasted, as people say it: `40 s`, `3 min`, `5 h`, `2 days`."""
    seconds = max(0, milliseconds) // 1_000
    for length, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"
