"""Chaos, and its end: poisoned events are parked, shown, mended, and redriven."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from examples.analysis.demo.chaos import Poison
from examples.analysis.demo.letters import open_letters
from examples.analysis.demo.settings import DemoSettings
from examples.analysis.demo.waiting import ProcessNotReady
from streams.kafka.sender import KafkaSender
from streams.parking.letter import Letter, LetterState
from streams.parking.letters import Backlog, LettersReading
from streams.parking.ordering import Ordering, Outcome, Pacing, order_record
from streams.parking.orders import OrderKind

LOOK_S: Final = 0.5
"""How long one look for parked events waits for something new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaosCounts:
    """How many events were poisoned, how many of them were parked, and redriven."""

    poisoned: int
    parked: int
    redriven: int

    @property
    def is_whole(self) -> bool:
        """Whether every poisoned event was parked, and handled after all."""
        return self.poisoned == self.parked == self.redriven


@dataclass(frozen=True, slots=True, kw_only=True)
class ParkedEvent:
    """What is shown of a poisoned event; `behind` are those that wait for it."""

    error: str
    behind: int


class Watch(Protocol):
    """Is shown how the repair goes."""

    def parked(self, events: Sequence[ParkedEvent]) -> None:
        """All poisoned events are parked."""
        ...

    def mended(self) -> None:
        """What failed on them fails no more."""
        ...

    def redriven(self, count: int) -> None:
        """So many were handled after all."""
        ...


class Repair:
    """Mends what fails on the poisoned events of a run, once they are parked."""

    def __init__(self, settings: DemoSettings, poison: Poison, known: frozenset[str]) -> None:
        """`known`: letters of earlier runs, which are left alone."""
        self._settings = settings
        self._poison = poison
        self._known = known

    async def run(self, watch: Watch, is_produced: Callable[[], bool]) -> ChaosCounts:
        """Return when the poisoned events are redriven, or have failed again.

        Raises ProcessNotReady when they were not parked some time after all was produced.
        """
        async with open_letters(self._settings.kafka) as reading:
            letters = await self._all_parked(reading, is_produced)
            watch.parked(_shown(letters, Backlog(reading.letters.live())))
            self._settings.folders.faults.unlink()
            watch.mended()
            redriven = await self._redriven(reading, letters)
            watch.redriven(redriven)
        return ChaosCounts(poisoned=self._poison.count, parked=len(letters), redriven=redriven)

    async def _all_parked(
        self, reading: LettersReading, is_produced: Callable[[], bool]
    ) -> Sequence[Letter]:
        last_change, before = time.monotonic(), 0
        while True:
            await reading.catch_up()
            parked = [it for it in reading.letters.live() if self._is_ours(it)]
            if len(parked) == self._poison.count:
                return parked
            if len(parked) != before or not is_produced():
                before, last_change = len(parked), time.monotonic()
            elif time.monotonic() - last_change > self._settings.stalled_s:
                raise ProcessNotReady(f"{before} of {self._poison.count} events were parked")
            await reading.something_new(LOOK_S)

    def _is_ours(self, letter: Letter) -> bool:
        return letter.state is LetterState.PARKED and letter.id not in self._known

    async def _redriven(self, reading: LettersReading, letters: Sequence[Letter]) -> int:
        sender = KafkaSender(self._settings.kafka)
        try:
            ordering = Ordering(sender, time.monotonic)
            orders = [order_record(it, OrderKind.REDRIVE) for it in letters]
            await ordering.send(orders, Pacing(None, time.monotonic))
            ordered = await ordering.follow(reading, letters, self._settings.stalled_s)
        finally:
            await sender.close()
        return sum(it.outcome is Outcome.DONE for it in ordered)


class Unwatched:
    """Implements Watch for runs at which nobody looks."""

    def parked(self, events: Sequence[ParkedEvent]) -> None:
        """See Watch."""

    def mended(self) -> None:
        """See Watch."""

    def redriven(self, count: int) -> None:
        """See Watch."""


def _shown(letters: Sequence[Letter], backlog: Backlog) -> list[ParkedEvent]:
    return [
        ParkedEvent(error=letter.last_error, behind=backlog.count_behind(letter))
        for letter in letters
    ]
