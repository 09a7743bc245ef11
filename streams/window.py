"""The last ids that were applied to one partition of a table, for events that stand twice in a log.

All copies of an event meet in the same partition of a table. An id is a claim: "applied from this
place". It counts only where the entry holds that place, so a claim whose entries were never written
loses nothing, in whatever order records arrive. The window stands in the changelog as a ring of
slots under reserved keys: compaction keeps the window and little more.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, NamedTuple

import orjson

from streams.claims import ID_BYTES, OFFSET_BYTES, Claim, Claims, new_claims

WINDOW_IDS: Final = 8_192
"""How many ids a window holds at least."""

SLOT_IDS: Final = 128
"""A slot with fewer ids is written again with those of the next batch."""

RESERVED: Final = b"\xff"
"""How keys of slots begin: no key of an entry does, they are UTF-8."""

VERSION: Final = 2


class SlotHead(NamedTuple):
    """What a slot says of itself; `number` grows with every new slot of the window."""

    generation: int
    number: int

    @classmethod
    def of(cls, value: bytes) -> "SlotHead":
        """Read the first line of a stored slot."""
        head = orjson.loads(value[: value.index(b"\n")])
        return cls(head["generation"], head["slot"])


@dataclass(frozen=True, slots=True)
class Slot:
    """Some ids of the window, kept under one key."""

    index: int
    head: SlotHead
    claims: Claims

    @property
    def key(self) -> bytes:
        """The reserved key."""
        return slot_key(self.index)

    def encode(self) -> bytes:
        """A line of JSON, then per source 16 bytes for each id and 8 for each offset.

        Ids that are no lower-case UUIDs stand in the JSON as they are.
        """
        parts = self.claims.packed()
        sources = [(source, length) for source, length, _ in parts]
        line: dict[str, Any] = {"version": VERSION, "generation": self.head.generation}
        line |= {"slot": self.head.number, "sources": sources}
        others = self.claims.others()
        if others:
            line["others"] = [(id_, *place) for id_, place in others.items()]
        return b"".join((orjson.dumps(line), b"\n", *[packed for _, _, packed in parts]))

    @classmethod
    def decode(cls, index: int, value: bytes) -> "Slot":
        """Read a stored slot."""
        line, _, content = value.partition(b"\n")
        head = orjson.loads(line)
        claims: Claims = new_claims()
        at = 0
        for source, length in head["sources"]:
            end = at + length * (ID_BYTES + OFFSET_BYTES)
            claims.put_packed(source, content[at:end])
            at = end
        for id_, source, offset in head.get("others", ()):
            claims.put(id_, source, offset)
        return cls(index, SlotHead(head["generation"], head["slot"]), claims)


class Window:
    """The claims of one partition.

    Once newer ones are as many as it must hold, all older ones are forgotten at once.
    """

    def __init__(self, slots: Iterable[Slot] = (), size: int = WINDOW_IDS) -> None:
        """`slots`: the newest ones that together hold at least `size` ids, oldest first."""
        self._newer: Claims = new_claims()
        self._older: Claims = new_claims()
        self._size = size
        self._slots: list[Slot] = []
        self._held = 0
        for slot in slots:
            self.keep(slot)

    @classmethod
    def stored(cls, get: Callable[[bytes], bytes | None], size: int = WINDOW_IDS) -> "Window":
        """The window as its slots are stored; slots that are older than the window are left out."""
        heads = sorted(
            ((SlotHead.of(value), index, value) for index, value in _stored_slots(get)),
            reverse=True,
        )
        newest: list[Slot] = []
        found = 0
        for _, index, value in heads:
            if found >= size:
                break
            newest.append(Slot.decode(index, value))
            found += len(newest[-1].claims)
        return cls(reversed(newest), size)

    @property
    def claims(self) -> tuple[Claims, ...]:
        """The newer ones first; only read by whoever applies events."""
        return self._newer, self._older

    def get(self, id_: str) -> Claim | None:
        """Where the event was read that was applied last under this id."""
        return self._newer.get(id_) or self._older.get(id_)

    def plan(self, claims: Claims, generation: int) -> Slot:
        """The slot to write for new claims: a new one, or the newest with these added."""
        last = self._slots[-1] if self._slots else None
        if last is not None and len(last.claims) < SLOT_IDS:
            head = SlotHead(generation, last.head.number)
            both: Claims = new_claims()
            both.update(last.claims)
            both.update(claims)
            return Slot(last.index, head, both)
        used = {slot.index for slot in self._slots}
        index = next(index for index in count() if index not in used)
        number = 0 if last is None else last.head.number + 1
        return Slot(index, SlotHead(generation, number), claims)

    def keep(self, slot: Slot) -> None:
        """Take a slot that is stored, and forget what is older than the window."""
        if self._slots and self._slots[-1].index == slot.index:
            self._held -= len(self._slots.pop().claims)
        self._slots.append(slot)
        self._held += len(slot.claims)
        while self._held - len(self._slots[0].claims) >= self._size:
            self._held -= len(self._slots.pop(0).claims)
        self._newer.update(slot.claims)
        if len(self._newer) >= self._size:
            self._older, self._newer = self._newer, new_claims()


def slot_key(index: int) -> bytes:
    """The reserved key of a slot."""
    return b"%bids/%d" % (RESERVED, index)


def is_reserved(key: bytes) -> bool:
    """Whether the key is one of a slot, not of an entry."""
    return key.startswith(RESERVED)


def slot_replaces(value: bytes, known: bytes) -> bool:
    """Whether this one, which stands later in the changelog under the same key, is to be kept."""
    return SlotHead.of(value) >= SlotHead.of(known)


def _stored_slots(get: Callable[[bytes], bytes | None]) -> Iterator[tuple[int, bytes]]:
    """Indices are used from 0 on without a gap."""
    for index in count():
        value = get(slot_key(index))
        if value is None:
            return
        yield index, value
