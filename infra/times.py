"""Times, versions and offsets as people write them on a command line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

import typer

from connectors.past_state import AsOf

OFFSETS: Final = re.compile(r"(?P<partition>\d+):(?P<first>\d+)(-(?P<end>\d*))?")


def point_in_time(text: str, option: str) -> datetime:
    """A time in ISO 8601; UTC where it names no zone. Raises BadParameter."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is no time: write it as 2026-11-25T13:00:00Z", param_hint=option
        ) from error
    return parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)


def as_of(text: str | None) -> AsOf | None:
    """A time, or a version where it is a whole number. Raises BadParameter."""
    if text is None:
        return None
    if text.isdecimal():
        return AsOf(version=int(text))
    return AsOf(time=point_in_time(text, "--at"))


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
