"""Counting what becomes of failed events."""

from dataclasses import dataclass

from streams.parking.letter import Letter, LetterState
from streams.work_metrics import WorkMetrics


@dataclass(frozen=True, slots=True)
class LetterCounts:
    """Implements ParkingListener: a letter that waits is a retry to come, a parked one is given up.

    One that is parked again, because a try that somebody ordered was in vain, is given up again.
    How many there are at the moment says the parking lot.
    """

    metrics: WorkMetrics

    def failed(self, letter: Letter) -> None:
        """See ParkingListener."""
        if letter.state is LetterState.PARKED:
            self.metrics.given_up(letter.handler)
        else:
            self.metrics.retried(letter.handler)

    def behind(self, letter: Letter) -> None:
        """See ParkingListener."""

    def done(self, letter: Letter) -> None:
        """See ParkingListener."""

    def dropped(self, letter: Letter) -> None:
        """See ParkingListener."""
