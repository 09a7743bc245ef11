"""Events of many records at once, with readers by the first bytes of what they read.

In C where that is built (`streams/_native_folding.c`), and in Python, which says the same.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from schemas.event import Event
from schemas.framing import HEADER_SIZE
from schemas.prefix_reader import EventView
from streams import native
from streams.records import RawRecord

Views = dict[bytes, EventView]
"""What reads an event, by the bytes before it that tell its schema."""


def view_in_python(views: Views, records: Sequence[RawRecord]) -> list[Event[Any]] | None:
    """The events; None where a record has none, or one that nothing here reads.

    Raises what is raised by what reads them.
    """
    values = [record.value for record in records]
    if None in values:
        return None
    readers = [views.get(value[:HEADER_SIZE]) for value in values if value is not None]
    return (
        [
            reader(value)
            for reader, value in zip(readers, values, strict=True)
            if reader is not None and value is not None
        ]
        if None not in readers
        else None
    )


def are_known_in_python(views: Views, records: Sequence[RawRecord]) -> bool:
    """Whether something here reads what each record brings; one without a value brings nothing."""
    return all(record.value is None or record.value[:HEADER_SIZE] in views for record in records)


view_known: Final[Callable[[Views, Sequence[RawRecord]], list[Event[Any]] | None]] = (
    native.folding.view if native.IN_USE else view_in_python
)
"""See `view_in_python`."""

are_known: Final[Callable[[Views, Sequence[RawRecord]], bool]] = (
    native.folding.are_known if native.IN_USE else are_known_in_python
)
"""See `are_known_in_python`."""
