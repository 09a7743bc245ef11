"""Patterns of event types.

`*` is every type, `analysis.*` every type under that prefix at any depth.
"""

import re
from typing import Final

from schemas.errors import InvalidPattern

EVERY_TYPE: Final = "*"
EVENT_TYPE: Final = re.compile(r"[a-z][a-z0-9]*(\.[a-z][a-z0-9]*)+")
"""What an event type looks like: words in dot notation, at least two."""

_PATTERN: Final = re.compile(r"\*|[a-z][a-z0-9]*(\.[a-z][a-z0-9]*)*\.\*|" + EVENT_TYPE.pattern)


def validate_pattern(pattern: str) -> str:
    """The pattern itself. Raises InvalidPattern."""
    if not _PATTERN.fullmatch(pattern):
        raise InvalidPattern(f"{pattern!r} is no pattern of event types")
    return pattern


def matches(pattern: str, event_type: str) -> bool:
    """Whether a type falls under a valid pattern."""
    if pattern == EVERY_TYPE:
        return True
    if pattern.endswith(".*"):
        return event_type.startswith(pattern[:-1])
    return event_type == pattern
