"""An event on its way into a table, and what becomes of one that no table can hold."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from schemas.event import Event
from streams.projection import Projection
from streams.records import RawRecord

Delivery = tuple[RawRecord, Event[Any]]
"""An event with the record that brought it, whose key is the entry's."""

ViewAgain = Callable[[Sequence[RawRecord]], Sequence[Event[Any]]]
"""Makes the events of records once more, as they were read."""


class FailedFold(NamedTuple):
    """An event that a table does not hold, found out after its fold had returned.

    Those behind it in its entry follow, with the same error: none of them is folded before it.
    All of them are noted as missing, so that each may be folded later.
    """

    projection: Projection
    record: RawRecord
    event: Event[Any]
    error: Exception
    is_behind: bool = False


class Run:
    """Deliveries on their way into a table, and those that were not folded."""

    def __init__(self, deliveries: Iterable[Delivery]) -> None:
        self.left: Iterator[Delivery] = iter(deliveries)
        self.undone: list[Delivery] = []
        self.halted: set[bytes] = set()
