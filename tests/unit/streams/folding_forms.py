"""What folds many events at once, in Python, and in C where that is built: one suite asks both."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pytest

from schemas.event import Event
from streams import native
from streams.claims import Claims, ClaimsInPython, new_claims
from streams.coverage import OneSource
from streams.one_source import (
    Initial,
    OneSourceEntries,
    OneSourceEntriesInPython,
    one_source_entries,
)
from streams.plain_events import PlainEvents, PlainEventsInPython, plain_events
from streams.records import RawRecord
from streams.table import TablePartition
from streams.viewing import Views, are_known, are_known_in_python, view_in_python, view_known


@dataclass(frozen=True, slots=True)
class Form:
    """How each part is made in one of them."""

    name: str
    claims: Callable[[], Claims]
    entries: Callable[[TablePartition, OneSource, Initial], OneSourceEntries]
    events: Callable[..., PlainEvents]
    view: Callable[[Views, Sequence[RawRecord]], list[Event[Any]] | None]
    are_known: Callable[[Views, Sequence[RawRecord]], bool]

    def __str__(self) -> str:
        return self.name


IN_PYTHON: Final = Form(
    "Python",
    ClaimsInPython,
    OneSourceEntriesInPython,
    PlainEventsInPython,
    view_in_python,
    are_known_in_python,
)
IN_C: Final = Form("C", new_claims, one_source_entries, plain_events, view_known, are_known)
FORMS: Final = (IN_PYTHON, IN_C) if native.IN_USE else (IN_PYTHON,)

each_form = pytest.mark.parametrize("form", FORMS, ids=str)
needs_c = pytest.mark.skipif(not native.IN_USE, reason="what is in C is not in use")


def answer(ask: Callable[..., Any], *arguments: Any) -> Any:
    """What is given, or the error's class and message."""
    try:
        return ask(*arguments)
    except Exception as error:  # noqa: BLE001  # whatever it is, both must raise it
        return type(error), str(error)
