"""The sender's bounded buffer: every record that is neither acknowledged nor given up."""

import asyncio
from collections import deque
from collections.abc import Sequence
from itertools import count

from schemas.errors import WundrError
from schemas.headers import CE_ID
from streams.errors import BrokerUnavailable, DeliveryFailed
from streams.receipt import Acknowledgement
from streams.records import OutgoingEntries, OutgoingRecord


class Pending:
    """A record on its way, or many that go as one; `number` says when it was taken.

    `handed_over`: a client has it, so the client's successor needs it. `whole`: what it stands for
    where those are entries of a table, `records` of them; `record` is the first.
    """

    __slots__ = (
        "deadline",
        "event_id",
        "handed_over",
        "number",
        "promise",
        "record",
        "records",
        "whole",
    )

    def __init__(
        self,
        record: OutgoingRecord,
        number: int,
        promise: "asyncio.Future[Acknowledgement]",
        deadline: float | None,
        whole: OutgoingEntries | None = None,
    ) -> None:
        self.whole = whole
        self.records = 1 if whole is None else len(whole.entries)
        self.record = record
        self.number = number
        self.event_id = _identify(record)
        self.promise = promise
        self.deadline = deadline
        self.handed_over = False


class Unacknowledged:
    """Room for a number of records, in the order in which they were taken.

    What is not acknowledged within `timeout_s` is given up with DeliveryFailed; None waits on.
    """

    def __init__(self, limit: int, timeout_s: float | None) -> None:
        self._limit = limit
        self._timeout_s = timeout_s
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._pending: dict[Pending, None] = {}
        self.waiting = 0
        """How many records are neither acknowledged nor given up."""
        self._numbers = count()
        self._given_up: dict[tuple[str, str], dict[int, int]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.acknowledged = 0
        self.failed = 0

    @property
    def has_room(self) -> bool:
        """Whether a record can be taken at once."""
        return self.waiting < self._limit

    async def room(self) -> None:
        """Wait for it. Raises BrokerUnavailable when none becomes free within the time limit."""
        try:
            async with asyncio.timeout(self._timeout_s):
                while not self.has_room:
                    turn = asyncio.get_running_loop().create_future()
                    self._waiting.append(turn)
                    await turn
        except TimeoutError:
            self.pass_on()
            raise BrokerUnavailable(
                f"{self._limit} records wait; none was acknowledged in {self._timeout_s} s"
            ) from None
        except asyncio.CancelledError:
            self.pass_on()  # it may have been our turn
            raise

    def pass_on(self) -> None:
        """A turn that is not taken is the next one's.

        For whoever takes nothing after `room`: else those behind it would wait for ever.
        """
        if self.has_room:
            self._let_one_in()

    def take(self, record: OutgoingRecord, whole: OutgoingEntries | None = None) -> Pending:
        """A record is on its way from now on; there is room for it.

        With it all the entries that it is the first of, also where room is for fewer.
        """
        loop = asyncio.get_running_loop()
        deadline = None if self._timeout_s is None else loop.time() + self._timeout_s
        pending = Pending(record, next(self._numbers), loop.create_future(), deadline, whole)
        self._pending[pending] = None
        self.waiting += pending.records
        if self._timer is None and deadline is not None:
            self._watch_oldest()
        return pending

    def acknowledge(self, batch: Sequence[Pending], topic: str, partition: int, first: int) -> None:
        """The broker has these records, one behind the other from the offset `first` on.

        One that was given up before counts as delivered after all. So do copies that were given up
        before this one was taken: it was their repetition.
        """
        offset = first
        for pending in batch:
            if self._given_up:
                self._forgive(pending)
            records = pending.records
            if self._forget(pending):
                self.acknowledged += records
                pending.promise.set_result(Acknowledgement(topic, partition, offset))
            offset += records

    def _forgive(self, pending: Pending) -> None:
        copy = (pending.record.topic, pending.event_id)
        missing = {
            number: given_up
            for number, given_up in self._given_up.pop(copy, {}).items()
            if number != pending.number and given_up > pending.number
        }
        if missing:
            self._given_up[copy] = missing

    def give_up(self, pending: Pending, error: WundrError) -> None:
        """The record was not acknowledged; if it is an event, close() will name it."""
        if self._forget(pending):
            self.failed += pending.records
            if any(name == CE_ID for name, _ in pending.record.headers):
                copies = self._given_up.setdefault((pending.record.topic, pending.event_id), {})
                copies[pending.number] = next(self._numbers)
            pending.promise.set_exception(error)
            pending.promise.exception()  # marks it as seen: nobody has to await a receipt

    def withdraw(self, pending: Pending) -> None:
        """The record was refused before any client had it: its sender is told by an exception."""
        if self._forget(pending):
            self.failed += pending.records
            pending.promise.cancel()

    def handed_over(self) -> list[Pending]:
        """What clients were given and nobody acknowledged, in order."""
        return [pending for pending in self._pending if pending.handed_over]

    def give_up_handed_over(self, cause: Exception) -> None:
        """No client will take what clients were given."""
        for pending in self.handed_over():
            failure = DeliveryFailed(
                f"event {pending.event_id} was not acknowledged: {type(cause).__name__}: {cause}"
            )
            failure.__cause__ = cause
            self.give_up(pending, failure)

    def give_up_all(self) -> None:
        """Nothing more will be tried."""
        for pending in list(self._pending):
            self.give_up(
                pending, DeliveryFailed(f"{pending.event_id} was not acknowledged at close")
            )

    @property
    def lost_ids(self) -> tuple[str, ...]:
        """The ids of what was given up, each once."""
        return tuple(dict.fromkeys(event_id for _, event_id in self._given_up))

    async def settle(self, timeout_s: float | None = None) -> None:
        """Return when all that is pending now is acknowledged or given up, or the time is over."""
        promises = [pending.promise for pending in self._pending]
        if promises:
            await asyncio.wait(promises, timeout=timeout_s)

    def _forget(self, pending: Pending) -> bool:
        if pending not in self._pending:
            return False
        del self._pending[pending]
        self.waiting -= pending.records
        if self._waiting:
            # Where more were taken than there was room for, not all that leave make room.
            for _ in range(min(pending.records, self._limit - self.waiting)):
                self._let_one_in()
        return True

    def _let_one_in(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    def _watch_oldest(self) -> None:
        """One timer for all: the records stand in the order of their deadlines."""
        # Without a time limit nobody may look for the oldest: a dictionary that is emptied from its
        # front passes over all that has left it.
        if self._timeout_s is None or self._timer is not None or not self._pending:
            return
        deadline = next(iter(self._pending)).deadline
        assert deadline is not None, "the time limit gives each record one"
        self._timer = asyncio.get_running_loop().call_at(deadline, self._expire)

    def _expire(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        for pending in list(self._pending):
            if pending.deadline is None or pending.deadline > now:
                break
            self.give_up(
                pending,
                DeliveryFailed(
                    f"event {pending.event_id} was not acknowledged in {self._timeout_s} s; "
                    "whether the broker has it is not known"
                ),
            )
        self._watch_oldest()

    def stop(self) -> None:
        """Stop watching deadlines."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _identify(record: OutgoingRecord) -> str:
    """The event's id; topic and key for records that are no events."""
    for name, value in record.headers:
        if name == CE_ID:
            return value.decode(errors="replace")
    return f"{record.topic}:{(record.key or b'').decode(errors='replace')}"
