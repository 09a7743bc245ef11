"""Patterns of event types as options of a command: what is none is wrong usage."""

from __future__ import annotations

import typer

from schemas.errors import InvalidPattern
from schemas.pattern import validate_pattern


def given_pattern(pattern: str, option: str = "--type") -> str:
    """The pattern itself. Raises BadParameter."""
    try:
        return validate_pattern(pattern)
    except InvalidPattern as error:
        raise typer.BadParameter(f"{error.message}: {error.remedy}", param_hint=option) from error
