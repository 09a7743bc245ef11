"""What a connected client has shown."""

import time
from dataclasses import dataclass, field

from gateway.client import BrowserEvent


@dataclass(slots=True, kw_only=True)
class Screen:
    """The ids of the shown events in order, and when the first came; times are monotonic."""

    began: float
    shown: list[str] = field(default_factory=list)
    first_event_s: float | None = None
    files: int = 0

    def show(self, event: BrowserEvent) -> None:
        """One event reached the client."""
        if self.first_event_s is None:
            self.first_event_s = time.monotonic() - self.began
        self.shown.append(event["id"])
        self.files += event["type"] == "analysis.file.processed"
