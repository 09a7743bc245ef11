"""Who is told of what becomes of failed events: alerts, metrics."""

from collections.abc import Sequence
from typing import Protocol

from streams.parking.letter import Letter


class ParkingListener(Protocol):
    """Called when the letter is kept, before anything else is done with its sequence.

    What it raises is logged: no alert keeps events from being handled.
    """

    def failed(self, letter: Letter) -> None:
        """It waits for another try, or is parked: see its state. Called once for each try."""
        ...

    def behind(self, letter: Letter) -> None:
        """It waits behind an earlier one."""
        ...

    def done(self, letter: Letter) -> None:
        """It was handled after all."""
        ...

    def dropped(self, letter: Letter) -> None:
        """It was ordered to count as done."""
        ...


class NobodyListens:
    """Implements ParkingListener for tests and small services."""

    def failed(self, letter: Letter) -> None:
        """See ParkingListener."""

    def behind(self, letter: Letter) -> None:
        """See ParkingListener."""

    def done(self, letter: Letter) -> None:
        """See ParkingListener."""

    def dropped(self, letter: Letter) -> None:
        """See ParkingListener."""


class AllListen:
    """Implements ParkingListener: each of several is told, in order."""

    def __init__(self, listeners: Sequence[ParkingListener]) -> None:
        self._listeners = listeners

    def failed(self, letter: Letter) -> None:
        """See ParkingListener."""
        for listener in self._listeners:
            listener.failed(letter)

    def behind(self, letter: Letter) -> None:
        """See ParkingListener."""
        for listener in self._listeners:
            listener.behind(letter)

    def done(self, letter: Letter) -> None:
        """See ParkingListener."""
        for listener in self._listeners:
            listener.done(letter)

    def dropped(self, letter: Letter) -> None:
        """See ParkingListener."""
        for listener in self._listeners:
            listener.dropped(letter)
