"""Counts by windows of event time, which close and stay closed. Pure.

The windows of an entry are part of its state, and so is how far its events have come: a worker that
takes the entry over goes on where the last one was, and what was closed is closed for it, too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from schemas.event import EPOCH, MILLISECOND, Event
from streams.projection import Fold, State

NO_GRACE: Final = timedelta()

NOT_BEGUN: Final = -1
"""How far an entry without events has come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Windows of one length, one behind the other, counted from 1970 in UTC.

    A window closes when an event of its entry is `grace` or more behind its end. An event of it
    that comes later is counted as late, and changes nothing else. An entry keeps its last `keeps`
    closed windows; late events of those it does not keep are counted in its own `late`.

    An entry that gathers events of several partitions has only one such time: `grace` must cover
    how far they are apart. Its state is `{"until", "late", "windows": {start: {"state", "closed",
    "late"}}}`, where `until` is the latest time so far, in milliseconds since 1970.
    """

    length: timedelta
    grace: timedelta = NO_GRACE
    keeps: int = 168

    def __post_init__(self) -> None:
        if self.length < MILLISECOND or self.grace < NO_GRACE or self.keeps < 0:
            raise ValueError("a window has a length, and neither grace nor keeps is below zero")

    @staticmethod
    def initial() -> State:
        """The state of an entry without events."""
        return {"until": NOT_BEGUN, "late": 0, "windows": {}}

    def start_of(self, timestamp_ms: int) -> str:
        """The window of a time, by the time of its start: `2026-11-25T13:00:00+00:00`."""
        length_ms = self.length // MILLISECOND
        return _text(timestamp_ms // length_ms * length_ms)

    def of(self, fold: Fold) -> Fold:
        """A fold whose states are those of single windows, made into one of entries."""

        def folded(state: State, event: Event[Any]) -> State:
            return self._folded(fold, state, event)

        folded.__doc__ = fold.__doc__
        return folded

    def _folded(self, fold: Fold, state: State, event: Event[Any]) -> State:
        start, windows = self.start_of(event.timestamp_ms), state["windows"]
        window = windows.get(start)
        if window is None and self._is_over(start, state["until"]):
            return {**state, "late": state["late"] + 1}
        if window is not None and window["closed"]:
            late = {**window, "late": window["late"] + 1}
            return {**state, "windows": {**windows, start: late}}
        inner = {} if window is None else window["state"]
        opened = {"state": fold(inner, event), "closed": False, "late": 0}
        until = max(state["until"], event.timestamp_ms)
        windows = {**windows, start: opened}
        if self._ended(until) != self._ended(state["until"]):
            windows = self._closed(windows, until)
        return {**state, "until": until, "windows": windows}

    def _ended(self, until: int) -> int:
        """How many windows are over; what is open now changes only when this does."""
        return (until - self.grace // MILLISECOND) // (self.length // MILLISECOND)

    def _closed(self, windows: Mapping[str, Any], until: int) -> Mapping[str, Any]:
        """The windows with those closed that are over, and without the closed ones of long ago."""
        found = {
            start: window if window["closed"] else {**window, "closed": self._is_over(start, until)}
            for start, window in windows.items()
        }
        closed = sorted(start for start, window in found.items() if window["closed"])
        for start in closed[: max(0, len(closed) - self.keeps)]:
            del found[start]
        return found

    def _is_over(self, start: str, until: int) -> bool:
        end_ms = (datetime.fromisoformat(start) + self.length - EPOCH) // MILLISECOND
        return until != NOT_BEGUN and until >= end_ms + self.grace // MILLISECOND


def _text(timestamp_ms: int) -> str:
    return (EPOCH + timestamp_ms * MILLISECOND).astimezone(UTC).isoformat()
