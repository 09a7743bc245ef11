"""The sequences of one partition: which records wait, and which wait behind them. Pure.

A sequence is what one handler has not done of one aggregate in one topic. Its head has failed; the
others came later and keep their order. It ends when the last of them is done.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Final

from streams.parking.letter import Letter, LetterState
from streams.parking.orders import Order
from streams.receipt import Acknowledgement
from streams.records import RawRecord, TopicPartition

SequenceKey = tuple[str, bytes | int]
"""Handler, and the key of the records; the offset of one that stands alone."""

BEYOND: Final = 1 << 62
"""Above every offset."""

AT_ONCE: Final = 0.0
"""When what has no due time is due."""


class Entry:
    """One record of a sequence. Its bytes may be left where they are kept."""

    __slots__ = ("held_bytes", "is_sent", "kept_at", "letter")

    def __init__(self, letter: Letter, kept_at: Acknowledgement | None = None) -> None:
        self.letter = letter
        self.kept_at = kept_at
        self.held_bytes = 0
        self.is_sent = kept_at is not None
        """Whether what ends the letter would stand behind it."""


class Sequence:
    """The records in their order.

    Those from `began` to `furthest` are in it, or done. What stands before it is unfinished where
    it is read again: it is handled as any other. `order` is what somebody wants of the head.
    """

    __slots__ = (
        "began",
        "dead",
        "entries",
        "furthest",
        "is_hastened",
        "is_in_work",
        "key",
        "order",
        "source",
    )

    def __init__(self, source: TopicPartition, key: SequenceKey) -> None:
        self.source = source
        self.key = key
        self.entries: deque[Entry] = deque()
        self.began = BEYOND
        self.furthest = -1
        self.dead = 0
        self.is_in_work = False
        self.is_hastened = False
        self.order: Order | None = None

    @property
    def head(self) -> Entry:
        """What everything else waits for."""
        return self.entries[0]

    @property
    def due_s(self) -> float | None:
        """When the head may be tried, in seconds since 1970; None while it is parked."""
        letter = self.head.letter
        if self.order is not None or self.is_hastened or letter.state is LetterState.BEHIND:
            return AT_ONCE
        if letter.state is LetterState.PARKED:
            return None
        return AT_ONCE if letter.due_at is None else letter.due_at.timestamp()

    def recounted(self) -> int:
        """How many more than before `dead` has: the entries while the head is parked, else none."""
        before = self.dead
        is_dead = bool(self.entries) and self.head.letter.state is LetterState.PARKED
        self.dead = len(self.entries) if is_dead else 0
        return self.dead - before

    def add(self, entry: Entry) -> None:
        """At the end; before all others where it was read before them."""
        offset = entry.letter.record.offset
        if offset < self.began and self.entries:
            self.entries.appendleft(entry)
        else:
            self.entries.append(entry)
        self.began = min(self.began, offset)
        self.furthest = max(self.furthest, offset)

    def covers(self, offset: int) -> bool:
        """Whether what stands there waits already, or is done."""
        return self.began <= offset <= self.furthest


class Line:
    """All sequences of one partition, by their keys."""

    def __init__(self, source: TopicPartition) -> None:
        self.source = source
        self.blocked: dict[SequenceKey, Sequence] = {}

    def holds(self, handler: str, record: RawRecord) -> bool:
        """Whether the record must wait behind others of its aggregate, or is one of them."""
        found = self.blocked.get(sequence_key(handler, record))
        return found is not None and record.offset >= found.began

    def find(self, handler: str, record: RawRecord) -> Sequence | None:
        """The sequence that a record belongs to, if there is one."""
        return self.blocked.get(sequence_key(handler, record))

    def opened(self, letter: Letter) -> Sequence:
        """The sequence that a letter belongs to; a new one, empty, where there is none."""
        key = _key_of(letter)
        found = self.blocked.get(key)
        if found is None:
            found = self.blocked[key] = Sequence(self.source, key)
        return found

    def knows(self, letter: Letter) -> bool:
        """Whether its record waits already, or is done."""
        found = self.blocked.get(_key_of(letter))
        return found is not None and found.covers(letter.record.offset)

    def close(self, sequence: Sequence) -> None:
        """The sequence is done: its aggregate goes straight on."""
        del self.blocked[sequence.key]

    def heads(self) -> Mapping[str, Sequence]:
        """The sequences by the ids of their heads."""
        return {it.head.letter.id: it for it in self.blocked.values()}

    def letters(self) -> Iterator[Letter]:
        """All that waits."""
        return (entry.letter for it in self.blocked.values() for entry in it.entries)


def _key_of(letter: Letter) -> SequenceKey:
    record = letter.record
    return (
        (letter.handler, record.offset) if letter.is_alone else sequence_key(letter.handler, record)
    )


def sequence_key(handler: str, record: RawRecord) -> SequenceKey:
    """What a record waits under."""
    return handler, record.offset if record.key is None else record.key
