"""The letters of one app or of all: what the topics hold of failed events, and what is ordered.

Of a letter that nobody asked for whole only what is said of it stays in memory, without the bytes
of its event. What cannot be read is named, and stops nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from sys import intern
from typing import Final

import orjson

from schemas.headers import CE_ID, CE_TYPE
from schemas.topics import CONTROL_TOPIC, dead_letter_topic, retry_topic
from streams.errors import NotALetter, NotAnOrder
from streams.log import RecordReader
from streams.parking.letter import Letter, LetterState
from streams.parking.orders import PREFIX, Order
from streams.records import RawRecord, TopicPartition

MOST_FAULTS: Final = 100
"""How many records that are no letters are named; further ones are counted."""

SILENT_READS: Final = 5
"""After so many reads without a record, each answered by the broker, nothing is left to come:
compaction has removed what stood before the end."""

READ_RECORDS: Final = 2_000
READ_S: Final = 1.0

LETTER_TOPICS: Final = (retry_topic(""), dead_letter_topic(""))
"""How the topics of letters begin, before the name of their app."""

SequenceKey = tuple[str, str, str, bytes | int]
"""Group, handler, source topic and key of the records; the offset of one without a key."""


def letter_topics(existing: Collection[str], app: str | None) -> list[str]:
    """The topics of letters that exist, of one app or of all."""
    if app is not None:
        return [topic for topic in (retry_topic(app), dead_letter_topic(app)) if topic in existing]
    return sorted(topic for topic in existing if topic.startswith(LETTER_TOPICS))


def letter_apps(existing: Collection[str]) -> list[str]:
    """The names of the apps whose topics of letters exist."""
    return sorted(
        {
            topic.removeprefix(prefix)
            for topic in existing
            for prefix in LETTER_TOPICS
            if topic.startswith(prefix)
        }
    )


def sequence_of(letter: Letter) -> SequenceKey:
    """What a letter waits in: no two letters that stand alone have one."""
    record = letter.record
    stands_alone = letter.is_alone or record.key is None
    key = record.offset if stands_alone or record.key is None else record.key
    return letter.group, letter.handler, record.topic, key


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many letters there are, by their states."""

    parked: int = 0
    waiting: int = 0
    behind: int = 0


class Letters:
    """What the records that were taken in say: the last one of each key counts.

    A letter that stands among the dead letters and among those that are tried again was about to be
    parked: it counts as parked.
    """

    def __init__(self, whole: Collection[str] = ()) -> None:
        """`whole`: ids of letters, or of their events, that are kept with bytes and headers."""
        self._whole = frozenset(whole)
        self._by_topic: defaultdict[str, dict[bytes, Letter]] = defaultdict(dict)
        self._orders: dict[str, Order] = {}
        self._faults: dict[tuple[str, bytes | int], str] = {}
        self.unnamed_faults = 0

    def take(self, record: RawRecord) -> None:
        """Take in the next record of a partition."""
        if record.topic == CONTROL_TOPIC:
            self._take_order(record)
            return
        kept = self._by_topic[record.topic]
        key = record.key or b""
        self._faults.pop((record.topic, key), None)
        kept.pop(key, None)
        if record.value is None:
            return
        try:
            letter = Letter.decode(record)
            _check_key(letter, record)
        except NotALetter as error:
            self._note(record, str(error))
        else:
            is_wanted = letter.id in self._whole or letter.event_id in self._whole
            kept[key] = letter if is_wanted else lean(letter)

    def live(self) -> list[Letter]:
        """All letters, by the place of their records."""
        found: dict[bytes, Letter] = {}
        for topic in sorted(self._by_topic, key=_is_of_the_dead):
            found.update(self._by_topic[topic])
        return sorted(found.values(), key=_place)

    def find(self, letter_id: str) -> Letter | None:
        """One letter; None when it has ended, or never was."""
        key = letter_id.encode()
        found = None
        for topic, kept in self._by_topic.items():
            if key in kept and (found is None or _is_of_the_dead(topic)):
                found = kept[key]
        return found

    def order_about(self, letter_id: str) -> Order | None:
        """What is ordered and was not carried out yet."""
        return self._orders.get(letter_id)

    def faults(self) -> list[str]:
        """What each record says that could not be read; see `unnamed_faults` for the others."""
        return list(self._faults.values())

    def _take_order(self, record: RawRecord) -> None:
        key = (record.key or b"").decode(errors="replace")
        if not key.startswith(PREFIX):
            return
        letter_id = key.removeprefix(PREFIX).partition("/")[2]
        self._orders.pop(letter_id, None)
        self._faults.pop((record.topic, record.key or b""), None)
        if record.value is None:
            return
        try:
            order = Order.decode(key, orjson.loads(record.value))
        except (NotAnOrder, orjson.JSONDecodeError) as error:
            self._note(record, str(error))
        else:
            self._orders[letter_id] = replace(order, value=None)

    def _note(self, record: RawRecord, fault: str) -> None:
        if len(self._faults) < MOST_FAULTS:
            key = record.offset if record.key is None else record.key
            self._faults[record.topic, key] = fault
        else:
            self.unnamed_faults += 1


class Backlog:
    """Letters as the sequences in which they wait."""

    def __init__(self, letters: Iterable[Letter]) -> None:
        self._letters = tuple(letters)
        self._waiting_behind: Counter[SequenceKey] = Counter(
            sequence_of(it) for it in self._letters if it.state is LetterState.BEHIND
        )

    @property
    def counts(self) -> Counts:
        """How many letters there are, by their states."""
        states = Counter(it.state for it in self._letters)
        return Counts(
            parked=states[LetterState.PARKED],
            waiting=states[LetterState.WAITING],
            behind=states[LetterState.BEHIND],
        )

    def heads(self) -> list[Letter]:
        """Those that have failed themselves."""
        return [it for it in self._letters if it.state is not LetterState.BEHIND]

    def count_behind(self, letter: Letter) -> int:
        """How many wait behind a head."""
        return 0 if letter.is_alone else self._waiting_behind[sequence_of(letter)]

    def behind(self, letter: Letter) -> list[Letter]:
        """Those that wait behind a head, in their order."""
        sequence = sequence_of(letter)
        return [
            it
            for it in self._letters
            if it.state is LetterState.BEHIND and sequence_of(it) == sequence
        ]

    def head_of(self, letter: Letter) -> Letter | None:
        """What a letter waits behind; None for one that stands alone."""
        sequence = sequence_of(letter)
        return next((it for it in self.heads() if sequence_of(it) == sequence), None)


class LettersReading:
    """Follows the topics of letters and orders: `catch_up` first, then as often as one likes."""

    def __init__(self, reader: RecordReader, letters: Letters) -> None:
        self._reader = reader
        self._next: dict[TopicPartition, int] = {}
        self.letters = letters

    async def start(self) -> None:
        """Connect. Raises BrokerUnavailable, TopicMissing."""
        await self._reader.start()
        self._next = dict(await self._reader.beginning())

    async def catch_up(self, follow: Callable[[int, int], None] | None = None) -> None:
        """Read to where the partitions end now: all that was written before that is taken in.

        `follow` is told how far that is, and of how much. Raises BrokerUnavailable.
        """
        begins = dict(self._next)
        ends = await self._reader.end()
        silent = 0
        while self._is_due(ends) and silent < SILENT_READS:
            silent = 0 if await self._take_some(READ_S) else silent + 1
            if silent:
                await self._reader.end()
            elif follow is not None:
                follow(_sum(begins, self._next, ends), _sum(begins, ends, ends))

    async def something_new(self, within_s: float) -> bool:
        """Wait for a record, for a bounded time; whether one came."""
        return await self._take_some(within_s)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._reader.close()

    def _is_due(self, ends: Mapping[TopicPartition, int]) -> bool:
        return any(self._next.get(source, 0) < end for source, end in ends.items())

    async def _take_some(self, within_s: float) -> bool:
        fetched = await self._reader.read(max_records=READ_RECORDS, timeout_s=within_s)
        for source, records in fetched.items():
            for record in records:
                self.letters.take(record)
            self._next[source] = records[-1].offset + 1
        return bool(fetched)


def lean(letter: Letter) -> Letter:
    """A letter with all that is said of it, and without the bytes and headers of its record."""
    record = letter.record
    headers = tuple(
        (intern(name), value) for name, value in record.headers if name in (CE_ID, CE_TYPE)
    )
    return replace(
        letter,
        app=intern(letter.app),
        group=intern(letter.group),
        handler=intern(letter.handler),
        reason=intern(letter.reason),
        record=record._replace(topic=intern(record.topic), value=None, headers=headers),
    )


def _check_key(letter: Letter, record: RawRecord) -> None:
    if (record.key or b"") != letter.id.encode():
        place = f"{record.topic}/{record.partition}/{record.offset}"
        raise NotALetter(f"{place} is no letter: its key does not name it")


def _is_of_the_dead(topic: str) -> bool:
    return topic.startswith(dead_letter_topic(""))


def _place(letter: Letter) -> tuple[str, str, str, int, int]:
    record = letter.record
    return letter.group, letter.handler, record.topic, record.partition, record.offset


def _sum(
    begins: Mapping[TopicPartition, int],
    places: Mapping[TopicPartition, int],
    ends: Mapping[TopicPartition, int],
) -> int:
    """How far places are behind begins, none counted beyond its end."""
    return sum(
        min(places.get(it, 0), end) - min(begins.get(it, 0), end) for it, end in ends.items()
    )
