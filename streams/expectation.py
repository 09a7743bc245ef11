"""What a writer believes about an aggregate, and what it gets back when that was right."""

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from schemas.event import Event


@dataclass(frozen=True, slots=True)
class ExpectedVersion:
    """The version that an aggregate must have for an append to go through.

    `version` is the number of its events so far; None accepts whatever it is.
    """

    version: int | None

    @classmethod
    def exact(cls, version: int) -> "ExpectedVersion":
        """The aggregate has exactly so many events."""
        return cls(version)

    def __str__(self) -> str:
        return "any version" if self.version is None else f"version {self.version}"


ANY_VERSION: Final = ExpectedVersion(None)
"""Append behind whatever is there."""

NO_EVENTS: Final = ExpectedVersion(0)
"""The aggregate must be new."""


class Appended(NamedTuple):
    """The result of an append: the events as they are stored, with their versions.

    `version` is that of the last one. `is_repeat`: the command was carried out before, and this is
    what it brought about then.
    """

    events: tuple[Event[Any], ...]
    version: int
    is_repeat: bool = False
