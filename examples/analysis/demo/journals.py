"""The journals of a run's processes, read as they grow."""

from pathlib import Path
from typing import Any

from schemas.codec import Codec
from schemas.event import Event
from streams.journal import read_journal


class Journals:
    """The events of one run: those that were handed over, and those that were acknowledged.

    A worker may also finish what an earlier run that was killed had left: such events are not of
    this run.
    """

    def __init__(self, folder: Path, codec: Codec, run_id: str) -> None:
        self._folder = folder
        self._codec = codec
        self._run_id = run_id
        self._read: dict[Path, int] = {}
        self.events: dict[str, Event[Any]] = {}
        self._others: set[str] = set()
        self._published: set[str] = set()

    @property
    def published(self) -> int:
        """How many different events of this run were handed over for sending."""
        return len(self._published - self._others)

    def look(self) -> int:
        """Read what is new; how many different events are acknowledged by now."""
        for path in sorted(self._folder.glob("*.jsonl")):
            part = read_journal(path, self._read.get(path, 0))
            self._read[path] = part.read_on
            self._published.update(part.published)
            for event in map(self._codec.view, part.acknowledged):
                if event.correlation_id == self._run_id:
                    self.events.setdefault(event.id, event)
                else:
                    self._others.add(event.id)
        return len(self.events)
