"""The parking lot of a subscription: what its handlers could not do, kept on Kafka, in order.

What is in memory is what the topics hold: every change is sent there first, and the record that
caused it is done once that is acknowledged.
"""

import asyncio
import heapq
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count, islice
from typing import Final, NamedTuple

import structlog

from schemas.errors import NotAnEvent
from streams.attempts import Failed
from streams.dead_letter import reason_of, text_of
from streams.log import RecordSender
from streams.parking.letter import READ, Letter, LetterState
from streams.parking.listener import NobodyListens, ParkingListener
from streams.parking.loading import HELD_BYTES
from streams.parking.orders import OpenOrders, Order
from streams.parking.sequences import BEYOND, Entry, Line
from streams.parking.sequences import Sequence as LetterSequence
from streams.receipt import Acknowledgement, Receipt
from streams.records import OutgoingRecord, RawRecord, TopicPartition
from streams.retry import Chance, RetrySchedule

LOOK_S: Final = 0.05
"""How often it is looked whether the lane has finished what stands before a head that is due."""

BATCH_ENTRIES: Final = 512
"""How many records are tried before their acknowledgements are awaited together."""

log = structlog.get_logger(__name__)


def everything_is_finished(source: TopicPartition) -> int | None:
    """For who tries again only where no lane is at work."""
    return BEYOND


class _Due(NamedTuple):
    """When a sequence is looked at; `due_s` is what was said of its head then."""

    at_s: float
    number: int
    sequence: LetterSequence
    due_s: float


def _bare(record: RawRecord) -> RawRecord:
    return record._replace(value=None)


class Backlog(NamedTuple):
    """How many records of a subscription are not done, by the reason."""

    waiting: int = 0
    """For another try."""

    parked: int = 0
    """For somebody's order."""

    behind: int = 0
    """One of these, in the order of their aggregate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LotEdges:
    """The ways out of a parking lot, and who is told."""

    sender: RecordSender
    clock: Callable[[], datetime]
    listener: ParkingListener = field(default_factory=NobodyListens)
    chance: Chance = random.random


class ParkingLot:
    """All sequences of one subscription in the partitions that are ours."""

    def __init__(self, app: str, group: str, edges: LotEdges) -> None:
        self.app = app
        self.group = group
        self._edges = edges
        self._lines: dict[TopicPartition, Line] = {}
        self._due: list[_Due] = []
        self._number = count()
        self._held_bytes = 0
        self._states: Counter[LetterState] = Counter()
        self.dead_letters = 0
        """How many are parked, or stand behind one that is."""
        self.orders = OpenOrders()
        self.changed = asyncio.Event()
        self.finished: Callable[[TopicPartition], int | None] = everything_is_finished
        """Below which offset the lane has finished everything; None where it is not known yet."""
        self.committed: Callable[[TopicPartition], int | None] = everything_is_finished
        """Below which offset nothing is read again, whatever happens; None where not known yet."""

    def line(self, source: TopicPartition) -> Line:
        """The sequences of a partition."""
        line = self._lines.get(source)
        if line is None:
            line = self._lines[source] = Line(source)
            self.orders.look_again()
        return line

    def find_line(self, source: TopicPartition) -> Line | None:
        """The same, None where the partition is not ours or nothing was ever read of it."""
        return self._lines.get(source)

    async def follow(self, handler: str, record: RawRecord) -> list[Receipt]:
        """Line a record up behind others of its aggregate.

        Its work is done once the receipt is kept; there is none when it is there, or done, already.
        """
        found = self.line(record.source).find(handler, record)
        assert found is not None, "only what waits is followed"
        if found.covers(record.offset):
            return []
        return [await self._add(found, self._letter(handler, record, LetterState.BEHIND))]

    async def fail(
        self, handler: str, record: RawRecord, failed: Failed, schedule: RetrySchedule
    ) -> list[Receipt]:
        """Keep a record that has failed; later ones of its aggregate wait behind it from now on.

        Its work is done once the receipt is kept.
        """
        line = self.line(record.source)
        if line.holds(handler, record):
            return await self.follow(handler, record)
        waiting = self._letter(handler, record, LetterState.WAITING)
        is_foreign = handler == READ and isinstance(failed.error, NotAnEvent)
        letter = replace(self._judged(waiting, failed, schedule), is_alone=is_foreign)
        return await self._opened(letter)

    async def park_alone(self, handler: str, record: RawRecord, failed: Failed) -> list[Receipt]:
        """Keep a record for which nothing must wait, without another try unless it is ordered."""
        waiting = self._letter(handler, record, LetterState.WAITING)
        letter = self._judged(waiting, failed, RetrySchedule(tries=1))
        letter = replace(letter, is_alone=True, tries=failed.tries)
        return await self._opened(letter)

    def failed_again(self, entry: Entry, failed: Failed, schedule: RetrySchedule) -> Letter:
        """The letter of a head after one more try; it is for the caller to keep it.

        What was parked stays parked: who ordered the try is to look at what came of it.
        """
        letter = self._judged(entry.letter, failed, schedule)
        if entry.letter.state is LetterState.PARKED:
            return replace(letter, state=LetterState.PARKED, due_at=None)
        return letter

    def take_due(self, most: int) -> list[LetterSequence]:
        """The sequences whose heads may be tried now, at most so many; they are in work then."""
        now = self._edges.clock().timestamp()
        taken: list[LetterSequence] = []
        early: list[LetterSequence] = []
        while self._due and self._due[0].at_s <= now and len(taken) < most:
            due = heapq.heappop(self._due)
            if not self._is_current(due):
                continue
            if self._is_ready(due.sequence):
                due.sequence.is_in_work = True
                taken.append(due.sequence)
            else:
                early.append(due.sequence)
        for sequence in early:
            self._push(sequence, now + LOOK_S)
        return taken

    def next_due_s(self) -> float | None:
        """How many seconds until a head may be tried; None while nothing is due at any time."""
        while self._due and not self._is_current(self._due[0]):
            heapq.heappop(self._due)
        if not self._due:
            return None
        return max(0.0, self._due[0].at_s - self._edges.clock().timestamp())

    def schedule(self, sequence: LetterSequence) -> None:
        """Its head has changed, or is out of work."""
        if sequence.due_s is not None:
            # What is due at once is not due before what was due by now.
            self._push(sequence, max(sequence.due_s, self._edges.clock().timestamp()))
            self.changed.set()

    def _push(self, sequence: LetterSequence, at_s: float) -> None:
        if sequence.due_s is not None:
            heapq.heappush(self._due, _Due(at_s, next(self._number), sequence, sequence.due_s))

    def _is_ready(self, sequence: LetterSequence) -> bool:
        """Whether nothing before the head is unfinished, and its letter is on its way."""
        finished = self.finished(sequence.source)
        head = sequence.head
        return head.is_sent and finished is not None and head.letter.record.offset < finished

    def hasten(self) -> None:
        """Everything that waits is due now."""
        for line in self._lines.values():
            for sequence in line.blocked.values():
                if sequence.head.letter.state is LetterState.WAITING:
                    sequence.is_hastened = True
                    self.schedule(sequence)

    def order(self, order: Order) -> None:
        """Somebody wants a letter redriven, dropped or edited; the last order about it counts."""
        if order.letter_id.startswith(f"{self.group}/"):
            self.orders.add(order)
            self.changed.set()

    def order_taken_back(self, letter_id: str) -> None:
        """It was carried out, or is no longer wanted."""
        self.orders.remove(letter_id)

    def restore(self, entries: Iterable[Entry], sources: Iterable[TopicPartition]) -> None:
        """Begin with what the topics hold of these partitions, each in the order of its offsets."""
        self.forget()
        for source in sources:
            self._lines[source] = Line(source)
        for entry in entries:
            self._states[entry.letter.state] += 1
            self.line(entry.letter.record.source).opened(entry.letter).add(entry)
            if entry.kept_at is not None:
                self.kept(entry, entry.letter, entry.kept_at)
        for line in self._lines.values():
            for sequence in line.blocked.values():
                self.dead_letters += sequence.recounted()
                self.schedule(sequence)
        self.orders.look_again()

    def forget(self) -> None:
        """The partitions are no longer ours."""
        self._lines.clear()
        self._due.clear()
        self._states.clear()
        self._held_bytes = 0
        self.dead_letters = 0

    def release(self, sequence: LetterSequence, done: Sequence[Entry]) -> None:
        """The first entries are done; an empty sequence ends."""
        for entry in done:
            assert sequence.entries.popleft() is entry, "a sequence is done in its order"
            self._states[entry.letter.state] -= 1
            self._count(entry, 0)
        sequence.is_hastened = False
        sequence.order = None
        self.put_back(sequence)

    def put_back(self, sequence: LetterSequence) -> None:
        """It is out of work: its head is tried when it is due, or the sequence ends."""
        sequence.is_in_work = False
        for entry in islice(sequence.entries, BATCH_ENTRIES):
            if not entry.held_bytes and entry.kept_at is not None:
                entry.letter = replace(entry.letter, record=_bare(entry.letter.record))
        self.dead_letters += sequence.recounted()
        if sequence.entries:
            self.schedule(sequence)
        else:
            self.line(sequence.source).close(sequence)

    async def send(self, record: OutgoingRecord) -> Receipt:
        """Send a letter, or what ends a letter or an order."""
        return await self._edges.sender.send(record)

    def kept(self, entry: Entry, letter: Letter, place: Acknowledgement) -> None:
        """The letter of an entry is another one now, which stands there."""
        self._states[entry.letter.state] -= 1
        self._states[letter.state] += 1
        entry.letter, entry.kept_at = letter, place
        self._count(entry, len(letter.record.value or b""))
        if self._held_bytes > HELD_BYTES:
            entry.letter = replace(letter, record=_bare(letter.record))
            self._count(entry, 0)

    def now(self) -> datetime:
        """The time by which things are due."""
        return self._edges.clock()

    def tell_done(self, letter: Letter) -> None:
        """A letter has ended because it was handled."""
        self._tell(self._edges.listener.done, letter)

    def tell_failed(self, letter: Letter) -> None:
        """A try was in vain."""
        self._tell(self._edges.listener.failed, letter)

    def tell_dropped(self, letter: Letter) -> None:
        """A letter has ended by an order."""
        self._tell(self._edges.listener.dropped, letter)

    @property
    def backlog(self) -> Backlog:
        """What is not done at the moment."""
        return Backlog(
            waiting=self._states[LetterState.WAITING],
            parked=self._states[LetterState.PARKED],
            behind=self._states[LetterState.BEHIND],
        )

    async def _opened(self, letter: Letter) -> list[Receipt]:
        """Begin a sequence with a letter, unless its record waits already, or is done."""
        line = self.line(letter.record.source)
        if line.knows(letter):
            return []
        receipt = await self._add(line.opened(letter), letter)
        self._tell(self._edges.listener.failed, letter)
        return [receipt]

    async def _add(self, sequence: LetterSequence, letter: Letter) -> Receipt:
        """In memory at once, so that what comes next waits behind it."""
        entry = Entry(letter)
        sequence.add(entry)
        self.dead_letters += sequence.recounted()
        self._states[letter.state] += 1
        self._count(entry, len(letter.record.value or b""))
        receipt = await self.send(letter.encode())
        entry.is_sent = True
        if sequence.entries and sequence.head is entry:
            self.schedule(sequence)
        if letter.state is LetterState.BEHIND:
            self._tell(self._edges.listener.behind, letter)
        return receipt.after(lambda place: self._kept_first(entry, letter, place))

    def _kept_first(self, entry: Entry, letter: Letter, place: Acknowledgement) -> None:
        # It may have been tried, and have another letter, before this one was acknowledged.
        if entry.letter is letter:
            self.kept(entry, letter, place)

    def _count(self, entry: Entry, held_bytes: int) -> None:
        self._held_bytes += held_bytes - entry.held_bytes
        entry.held_bytes = held_bytes

    def _letter(self, handler: str, record: RawRecord, state: LetterState) -> Letter:
        return Letter(app=self.app, group=self.group, handler=handler, record=record, state=state)

    def _judged(self, letter: Letter, failed: Failed, schedule: RetrySchedule) -> Letter:
        """The letter after a try: when it may be tried again, or that it is parked."""
        error, now, tries = failed.error, self._edges.clock(), letter.tries + 1
        answer = schedule.answer(error)
        wait_s = None
        if isinstance(answer, RetrySchedule) and not answer.exhausted(tries):
            wait_s = answer.delay_s(tries, self._edges.chance)
        return replace(
            letter,
            state=LetterState.PARKED if wait_s is None else LetterState.WAITING,
            tries=tries,
            reason=reason_of(error),
            last_error=text_of(error),
            failed_at=now,
            due_at=None if wait_s is None else now + timedelta(seconds=wait_s),
        )

    def _is_current(self, due: "_Due") -> bool:
        """Whether a time in the heap is still that of its sequence."""
        sequence = due.sequence
        line = self._lines.get(sequence.source)
        is_ours = line is not None and line.blocked.get(sequence.key) is sequence
        return is_ours and not sequence.is_in_work and sequence.due_s == due.due_s

    @staticmethod
    def _tell(listener: Callable[[Letter], None], letter: Letter) -> None:
        try:
            listener(letter)
        except Exception:
            log.exception("a listener of failed events failed", letter=letter.id)
