"""Times and versions as people write them on a command line."""

from __future__ import annotations

from datetime import UTC, datetime

import typer

from connectors.past_state import AsOf


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
