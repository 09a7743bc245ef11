"""The journals of a run's processes, read as they grow."""

from pathlib import Path
from typing import Any

from schemas.codec import Codec
from schemas.event import Event
from streams.journal import read_journal


class Journals:
    """The acknowledged events of one run.

    A worker may also finish what an earlier run that was killed had left: such events are not of
    this run.
    """

    def __init__(self, folder: Path, codec: Codec, run_id: str) -> None:
        self._folder = folder
        self._codec = codec
        self._run_id = run_id
        self._read: dict[Path, int] = {}
        self.events: dict[str, Event[Any]] = {}

    def look(self) -> int:
        """Read what is new; how many different events are acknowledged by now."""
        for path in sorted(self._folder.glob("*.jsonl")):
            values, self._read[path] = read_journal(path, self._read.get(path, 0))
            for event in map(self._codec.view, values):
                if event.correlation_id == self._run_id:
                    self.events.setdefault(event.id, event)
        return len(self.events)
