"""The sequences of one partition: which records wait, and which wait behind them. Pure.

A sequence is what one handler has not done of one aggregate in one topic. Its head has failed; the
others came later and keep their order. It ends when the last of them is done.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Final

from streams.parking.letter import Letter, LetterState
from streams.receipt import Acknowledgement
from streams.records import RawRecord, TopicPartition

SequenceKey = tuple[str, bytes | int]
"""Handler, and the key of the records; the offset of one that stands alone."""

AT_ONCE: Final = 0.0
"""When what has no due time is due."""


class Entry:
    """One record of a sequence. Its bytes may be left where they are kept."""

    __slots__ = ("held_bytes", "kept_at", "letter")

    def __init__(self, letter: Letter, kept_at: Acknowledgement | None = None) -> None:
        self.letter = letter
        self.kept_at = kept_at
        self.held_bytes = 0


class Sequence:
    """The records in their order; those at or below `furthest` are in it, or done."""

    __slots__ = ("dead", "entries", "furthest", "is_in_work", "is_ordered", "key", "source")

    def __init__(self, source: TopicPartition, key: SequenceKey) -> None:
        self.source = source
        self.key = key
        self.entries: deque[Entry] = deque()
        self.furthest = -1
        self.dead = 0
        self.is_in_work = False
        self.is_ordered = False

    @property
    def head(self) -> Entry:
        """What everything else waits for."""
        return self.entries[0]

    @property
    def due_s(self) -> float | None:
        """When the head may be tried, in seconds since 1970; None while it is parked."""
        letter = self.head.letter
        if self.is_ordered or letter.state is LetterState.BEHIND:
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
        """At the end."""
        self.entries.append(entry)
        self.furthest = max(self.furthest, entry.letter.record.offset)


class Line:
    """All sequences of one partition, by their keys."""

    def __init__(self, source: TopicPartition) -> None:
        self.source = source
        self.blocked: dict[SequenceKey, Sequence] = {}

    def holds(self, handler: str, record: RawRecord) -> bool:
        """Whether the record must wait behind others of its aggregate, or is one of them."""
        return sequence_key(handler, record) in self.blocked

    def find(self, handler: str, record: RawRecord) -> Sequence | None:
        """The sequence that a record belongs to, if there is one."""
        return self.blocked.get(sequence_key(handler, record))

    def opened(self, letter: Letter) -> Sequence:
        """The sequence that a letter belongs to; a new one, empty, where there is none."""
        record = letter.record
        is_alone = letter.is_alone
        key = (letter.handler, record.offset) if is_alone else sequence_key(letter.handler, record)
        found = self.blocked.get(key)
        if found is None:
            found = self.blocked[key] = Sequence(self.source, key)
        return found

    def close(self, sequence: Sequence) -> None:
        """The sequence is done: its aggregate goes straight on."""
        del self.blocked[sequence.key]

    def heads(self) -> Mapping[str, Sequence]:
        """The sequences by the ids of their heads."""
        return {it.head.letter.id: it for it in self.blocked.values()}

    def letters(self) -> Iterator[Letter]:
        """All that waits."""
        return (entry.letter for it in self.blocked.values() for entry in it.entries)


def sequence_key(handler: str, record: RawRecord) -> SequenceKey:
    """What a record waits under."""
    return handler, record.offset if record.key is None else record.key
