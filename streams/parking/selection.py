"""Which letters somebody means, and letters in groups. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from schemas.pattern import matches
from streams.parking.errors import LetterIsBehind, LetterNotFound
from streams.parking.letter import Letter, LetterState
from streams.parking.letters import Backlog

UNNAMED: Final = "unknown"
"""Stands for the type of a record whose headers name none."""


class Grouping(StrEnum):
    """What letters are brought together by."""

    ERROR = "error"
    TYPE = "type"
    HANDLER = "handler"

    def name_of(self, letter: Letter) -> str:
        """The group of a letter."""
        match self:
            case Grouping.ERROR:
                return letter.reason
            case Grouping.TYPE:
                return letter.event_type or UNNAMED
            case Grouping.HANDLER:
                return f"{letter.group}/{letter.handler}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Letters that have something in common; `since` is when the oldest of them failed."""

    name: str
    parked: int = 0
    waiting: int = 0
    behind: int = 0
    since: datetime | None = None

    def with_head(self, letter: Letter, behind: int) -> "Group":
        """The group with one more letter, and those that wait behind it."""
        is_parked = letter.state is LetterState.PARKED
        times = [it for it in (self.since, letter.failed_at) if it is not None]
        return Group(
            name=self.name,
            parked=self.parked + is_parked,
            waiting=self.waiting + (not is_parked),
            behind=self.behind + behind,
            since=min(times, default=None),
        )


def grouped(backlog: Backlog, by: Grouping) -> list[Group]:
    """The letters that have failed, in groups: the largest first."""
    groups: dict[str, Group] = {}
    for letter in backlog.heads():
        name = by.name_of(letter)
        known = groups.get(name) or Group(name=name)
        groups[name] = known.with_head(letter, backlog.count_behind(letter))
    return sorted(groups.values(), key=lambda it: (-it.parked - it.waiting, it.name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What parked letters have in common; what is None leaves all in.

    `event_type` may be a pattern such as `analysis.*`, `handler` a handler's name with or without
    its subscription before it.
    """

    app: str | None = None
    error: str | None = None
    event_type: str | None = None
    handler: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether every letter passes."""
        return self == Filters()

    def takes(self, letter: Letter) -> bool:
        """Whether a letter passes all of them."""
        handlers = (letter.handler, f"{letter.group}/{letter.handler}")
        return (
            self.app in (None, letter.app)
            and self.error in (None, letter.reason)
            and (self.handler is None or self.handler in handlers)
            and (self.event_type is None or matches(self.event_type, letter.event_type or UNNAMED))
        )


def parked(letters: Iterable[Letter], filters: Filters) -> list[Letter]:
    """The parked letters that pass."""
    return [it for it in letters if it.state is LetterState.PARKED and filters.takes(it)]


def named(letters: Iterable[Letter], names: Sequence[str]) -> list[Letter]:
    """The letters of these ids; an event's id means all that handlers could not do of it.

    Raises LetterNotFound with every name that is nobody's.
    """
    wanted = set(names)
    found = [it for it in letters if it.id in wanted or it.event_id in wanted]
    missing = wanted - {it.id for it in found} - {str(it.event_id) for it in found}
    if missing:
        raise LetterNotFound([name for name in dict.fromkeys(names) if name in missing])
    return found


def failed_ones(letters: Sequence[Letter], backlog: Backlog) -> list[Letter]:
    """Those of the letters that have failed themselves, at least one of each event.

    Raises LetterIsBehind.
    """
    failed = [it for it in letters if it.state is not LetterState.BEHIND]
    events = {it.event_id for it in failed} - {None}
    for letter in letters:
        if letter.state is LetterState.BEHIND and letter.event_id not in events:
            raise LetterIsBehind(letter, backlog.head_of(letter))
    return failed
