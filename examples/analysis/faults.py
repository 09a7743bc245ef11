"""What the demonstration breaks on purpose (`wundr demo --chaos`): nothing where no file says so.

While the file is there, its events fail in the named handler or fold; who removes it has mended
them. It holds a JSON object: the ids of aggregates by the name of what fails on them.
"""

import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final, Self

import orjson

from schemas.event import Event
from streams.projection import Fold, State

VARIABLE: Final = "ANALYSIS_FAULTS"
"""Environment variable with the path of the file."""


class PoisonedEvent(Exception):
    """This event cannot be handled until somebody has mended what fails on it."""


class Faults:
    """Events that fail, by the name of what fails on them."""

    def __init__(self, path: Path | None, poisoned: Mapping[str, Collection[str]]) -> None:
        self._path = path
        self._poisoned = {name: frozenset(ids) for name, ids in poisoned.items()}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """The faults of this process, fixed when it starts."""
        given = environment.get(VARIABLE)
        path = Path(given) if given else None
        there = path is not None and path.exists()
        return cls(path, orjson.loads(path.read_bytes()) if path and there else {})

    def strike(self, name: str, event: Event[Any]) -> None:
        """Raise PoisonedEvent when `name` is to fail on this event."""
        aggregate = event.aggregate
        if aggregate is None or aggregate.id not in self._poisoned.get(name, ()):
            return
        if self._path is not None and self._path.exists():
            raise PoisonedEvent(f"{name} fails on {event.type} of {aggregate.id}")

    def around(self, name: str, fold: Fold) -> Fold:
        """The fold, failing where it is to; itself where nothing is."""
        if name not in self._poisoned:
            return fold

        def faulty(state: State, event: Event[Any]) -> State:
            self.strike(name, event)
            return fold(state, event)

        return faulty
