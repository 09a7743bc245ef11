"""What an alert says, and how few of them many failures bring about. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from streams.parking.letter import Letter, LetterState

MOST_TRIES: Final = 3
"""An event that failed more often than that is worth an alert, parked or not."""

INTERVAL: Final = timedelta(seconds=60)
"""Between two alerts about one handler and one reason; what fails meanwhile is counted."""

MOST_KINDS: Final = 1_000
"""Of so many kinds of failures the counts are kept; further ones share the reason `other`."""

OTHER: Final = "other"


class Kind(NamedTuple):
    """What alerts are counted by."""

    group: str
    handler: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Failures of one kind since the last alert about it; the other fields are of the latest."""

    app: str
    group: str
    handler: str
    reason: str
    state: LetterState
    count: int
    tries: int
    letter_id: str
    event_id: str | None
    event_type: str | None
    correlation_id: str | None
    at: datetime

    @property
    def kind(self) -> Kind:
        """What it is counted by."""
        return Kind(self.group, self.handler, self.reason)

    @property
    def text(self) -> str:
        """One sentence for people."""
        what = self.event_type or "an event"
        times = "once" if self.count == 1 else f"{self.count:,} times"
        return f"{self.group}: {self.handler} failed {times} with {self.reason}, lately on {what}"


def is_alarming(letter: Letter) -> bool:
    """Whether a failure is worth an alert."""
    return letter.state is LetterState.PARKED or letter.tries > MOST_TRIES


class AlertLimits:
    """At most one alert of a kind within the interval, with all failures counted. Pure."""

    def __init__(self, interval: timedelta = INTERVAL, most_kinds: int = MOST_KINDS) -> None:
        self._interval = interval
        self._most_kinds = most_kinds
        self._raised_at: dict[Kind, datetime] = {}
        self._pending: dict[Kind, Alert] = {}

    def take(self, failure: Alert) -> Alert | None:
        """The alert that a failure brings about now; None when it is counted for a later one."""
        known = self._kept(failure)
        counted = self._pending.pop(known.kind, None)
        alert = replace(known, count=known.count + counted.count) if counted else known
        raised_at = self._raised_at.get(known.kind)
        if raised_at is not None and known.at - raised_at < self._interval:
            self._pending[known.kind] = alert
            return None
        self._raised_at[known.kind] = known.at
        return alert

    def due(self, now: datetime) -> Iterator[Alert]:
        """The alerts about what was counted and whose interval is over."""
        for kind in list(self._pending):
            if now - self._raised_at[kind] >= self._interval:
                self._raised_at[kind] = now
                yield self._pending.pop(kind)

    def next_due(self) -> datetime | None:
        """When `due` has something to give; None while nothing is counted."""
        times = (self._raised_at[kind] + self._interval for kind in self._pending)
        return min(times, default=None)

    def rest(self) -> list[Alert]:
        """All that was counted and not raised yet."""
        pending, self._pending = self._pending, {}
        return list(pending.values())

    def _kept(self, failure: Alert) -> Alert:
        """The failure under a kind that is counted."""
        if failure.kind in self._raised_at or len(self._raised_at) < self._most_kinds:
            return failure
        for kind, at in list(self._raised_at.items()):
            if kind not in self._pending and failure.at - at >= self._interval:
                del self._raised_at[kind]
        is_full = len(self._raised_at) >= self._most_kinds
        return replace(failure, reason=OTHER) if is_full else failure
