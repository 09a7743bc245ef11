"""What a catch-up subscription can say about itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, kw_only=True)
class CatchUpStatus:
    """Counts since the subscription was made. `live` has the partitions whose history is read."""

    partitions: Sequence[int] = ()
    events: int = 0
    next: dict[int, int] = field(default_factory=dict)
    live: set[int] = field(default_factory=set)
    waiting_for: str | None = None

    def wait_for(self, code: str | None) -> None:
        """Something is away, by the code of its error; None when it is back."""
        self.waiting_for = code

    def as_mapping(self) -> Mapping[str, Any]:
        """For `/live`; counts and offsets only."""
        return {
            "status": "waiting" if self.waiting_for else "running",
            "waiting_for": self.waiting_for,
            "events": self.events,
            "live": sorted(self.live),
            "next": {str(partition): offset for partition, offset in sorted(self.next.items())},
        }
