"""Orders about letters, and what became of them: judged by what the topics hold afterwards."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from streams.log import RecordSender
from streams.parking.errors import LetterNotRedriven
from streams.parking.letter import Letter, LetterState
from streams.parking.letters import Letters, LettersReading
from streams.parking.orders import Order, OrderKind
from streams.platform.processor import PLATFORM_APP, PLATFORM_GROUP
from streams.receipt import Receipt
from streams.records import OutgoingRecord

LOOK_S: Final = 0.5
"""How long one wait for news lasts."""


class Outcome(StrEnum):
    """What became of a letter that something was ordered about."""

    DONE = "done"
    """It has ended: handled, or dropped."""

    FAILED = "failed"
    """It failed again, and is parked as before."""

    WAITING = "waiting"
    """It failed again, and is tried once more by itself."""

    LEFT = "left"
    """The order was put aside: the letter was not the first of its sequence any more."""

    ORDERED = "ordered"
    """Nobody has carried the order out yet: it stands in `wundr.control` until somebody does."""

    @property
    def is_final(self) -> bool:
        """Whether there is nothing to wait for any more."""
        return self in (Outcome.DONE, Outcome.FAILED, Outcome.LEFT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """A letter as it was when something was ordered about it, what became of it, and as it is."""

    before: Letter
    outcome: Outcome
    now: Letter | None


def judge(before: Letter, letters: Letters) -> Ordered:
    """What became of a letter, as the topics have it now. Its order was acknowledged before."""
    now = letters.find(before.id)
    if now is None:
        outcome = Outcome.DONE
    elif (now.failed_at, now.tries) != (before.failed_at, before.tries):
        is_parked = now.state is LetterState.PARKED
        outcome = Outcome.FAILED if is_parked else Outcome.WAITING
    else:
        is_open = letters.order_about(before.id) is not None
        outcome = Outcome.ORDERED if is_open else Outcome.LEFT
    return Ordered(before=before, outcome=outcome, now=now)


def order_record(letter: Letter, kind: OrderKind, value: bytes | None = None) -> OutgoingRecord:
    """The record that has something done about a letter.

    Nobody follows the letters of the sink: one is dropped by ending it. Raises LetterNotRedriven
    where it is to be tried again.
    """
    if letter.app == PLATFORM_APP and letter.group != PLATFORM_GROUP:
        if kind is not OrderKind.DROP:
            raise LetterNotRedriven(letter)
        return letter.ended()
    return Order(app=letter.app, letter_id=letter.id, kind=kind, value=value).encode()


class Pacing:
    """At most so many in a second. `clock` in seconds, never set back."""

    def __init__(
        self,
        per_s: float | None,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`per_s`: None where there is no limit."""
        self._per_s = per_s
        self._clock = clock
        self._sleep = sleep
        self._began: float | None = None
        self._passed = 0

    async def turn(self) -> None:
        """Return when it is the next one's turn."""
        if self._per_s is None:
            return
        now = self._clock()
        if self._began is None:
            self._began = now
        due = self._began + self._passed / self._per_s
        self._passed += 1
        if due > now:
            await self._sleep(due - now)


class Ordering:
    """Sends orders at a bounded rate, then follows the letters."""

    def __init__(self, sender: RecordSender, clock: Callable[[], float]) -> None:
        """`clock`: in seconds, never set back."""
        self._sender = sender
        self._clock = clock

    async def send(
        self,
        records: Sequence[OutgoingRecord],
        pacing: Pacing,
        follow: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Send them, acknowledged; `follow` is told how many there are by now.

        Raises BrokerUnavailable, DeliveryFailed, RecordRefused.
        """
        receipts: list[Receipt] = []
        for number, record in enumerate(records, 1):
            await pacing.turn()
            receipts.append(await self._sender.send(record))
            follow(number)
        for receipt in receipts:
            await receipt

    async def follow(
        self,
        reading: LettersReading,
        letters: Sequence[Letter],
        patience_s: float,
        follow: Callable[[int], None] = lambda _: None,
    ) -> list[Ordered]:
        """What became of the letters, all of them or when for so long nothing has changed.

        `follow` is told for how many there is nothing to wait for. Raises BrokerUnavailable.
        """
        changed_at = self._clock()
        before: Counter[Outcome] = Counter()
        known = {it.id: Ordered(before=it, outcome=Outcome.ORDERED, now=it) for it in letters}
        while True:
            await reading.catch_up()
            open_ones = [it.before for it in known.values() if not it.outcome.is_final]
            known |= {it.id: judge(it, reading.letters) for it in open_ones}
            outcomes = Counter(it.outcome for it in known.values())
            finished = sum(count for it, count in outcomes.items() if it.is_final)
            follow(finished)
            if outcomes != before:
                before, changed_at = outcomes, self._clock()
            if finished == len(known) or self._clock() - changed_at >= patience_s:
                return list(known.values())
            await reading.something_new(min(LOOK_S, patience_s))
