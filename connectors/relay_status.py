"""What a running relay can say about itself: what it owns, what it sent, what holds events back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from connectors.outbox import Delay

ALARM_S: Final = 30.0
"""Above this age something is wrong: an operator has to look."""


class RelayStep(StrEnum):
    """The steps of a batch, in order. Each is announced once it is done."""

    READ = "read"
    ACKNOWLEDGED = "acknowledged"
    REMOVED = "removed"


StepListener = Callable[[RelayStep], None]
"""Called in the relay's own flow, after each step."""


class Alarm(StrEnum):
    """Why events wait, or soon will."""

    OLD_ROWS = "an event has waited in the outbox for too long"
    HELD_BACK = "a transaction or a lock holds the outbox"
    OLD_TRANSACTION = "a transaction keeps dead rows of the outbox from being removed"


def alarms(delay: Delay) -> frozenset[Alarm]:
    """What an operator has to be told. Pure."""
    ages = {
        Alarm.OLD_ROWS: delay.oldest_s,
        Alarm.HELD_BACK: delay.holder_s,
        Alarm.OLD_TRANSACTION: delay.horizon_s,
    }
    return frozenset(alarm for alarm, age in ages.items() if age > ALARM_S)


@dataclass(slots=True, kw_only=True)
class RelayStatus:
    """Counts since the start of this process. `waiting_for` has the shards that cannot go on.

    `epochs`: of the last claim of each shard. `is_connected`: whether the outbox has answered yet.
    """

    owned: set[int] = field(default_factory=set)
    epochs: dict[int, int] = field(default_factory=dict)
    is_connected: bool = False
    waiting_for: dict[int, str] = field(default_factory=dict)
    sent: int = 0
    taken_over: int = 0
    interruptions: int = 0
    delay: Delay = field(default_factory=Delay)
    alarms: frozenset[Alarm] = frozenset()

    def as_mapping(self) -> Mapping[str, Any]:
        """For `/live`; counts and ages only, no addresses and no data."""
        return {
            "status": "waiting" if self.waiting_for else "running",
            "waiting_for": {str(shard): code for shard, code in sorted(self.waiting_for.items())},
            "owned": sorted(self.owned),
            "epochs": {str(shard): epoch for shard, epoch in sorted(self.epochs.items())},
            "sent": self.sent,
            "taken_over": self.taken_over,
            "interruptions": self.interruptions,
            "waiting": self.delay.waiting,
            "oldest_s": round(self.delay.oldest_s, 3),
            "holder_s": round(self.delay.holder_s, 3),
            "horizon_s": round(self.delay.horizon_s, 3),
            "alarms": sorted(self.alarms),
        }
