"""The last ids that were applied to one partition of a table, for events that stand twice in a log.

All copies of an event meet in the same partition of a table. An id is a claim: "applied from this
place". It counts only where the entry holds that place, so a claim whose entries were never written
loses nothing, in whatever order records arrive. The window stands in the changelog as a ring of
slots under reserved keys: compaction keeps the window and little more.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, NamedTuple

import orjson

WINDOW_IDS: Final = 8_192
"""How many ids a window holds at least."""

SLOT_IDS: Final = 128
"""A slot with fewer ids is written again with those of the next batch."""

RESERVED: Final = b"\xff"
"""How keys of slots begin: no key of an entry does, they are UTF-8."""

VERSION: Final = 2
ID_BYTES: Final = 16
OFFSET_BYTES: Final = 8
UUID_LENGTH: Final = 36
DASHES: Final = (8, 13, 18, 23)

Claim = tuple[str, int]
"""The source partition and the offset at which an event was read."""


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
    ids: Sequence[str]
    claims: Sequence[Claim]

    @property
    def key(self) -> bytes:
        """The reserved key."""
        return slot_key(self.index)

    def encode(self) -> bytes:
        """A line of JSON, then per source 16 bytes for each id and 8 for each offset.

        Ids that are no lower-case UUIDs stand in the JSON as they are.
        """
        sources: list[tuple[str, int]] = []
        content: list[bytes] = []
        others: list[tuple[str, str, int]] = []
        for source, ids, offsets in self._by_source():
            packed = _pack(ids)
            if packed is None:
                others += [(id_, source, offset) for id_, offset in zip(ids, offsets, strict=True)]
            else:
                sources.append((source, len(ids)))
                content += (packed, struct.pack(f"<{len(ids)}q", *offsets))
        line: dict[str, Any] = {"version": VERSION, "generation": self.head.generation}
        line |= {"slot": self.head.number, "sources": sources}
        if others:
            line["others"] = others
        return b"\n".join((orjson.dumps(line), b"".join(content)))

    @classmethod
    def decode(cls, index: int, value: bytes) -> "Slot":
        """Read a stored slot."""
        line, _, content = value.partition(b"\n")
        head = orjson.loads(line)
        ids: list[str] = []
        claims: list[Claim] = []
        at = 0
        for source, length in head["sources"]:
            middle = at + length * ID_BYTES
            end = middle + length * OFFSET_BYTES
            ids += _unpack(content[at:middle])
            offsets = struct.unpack(f"<{length}q", content[middle:end])
            claims += [(source, offset) for offset in offsets]
            at = end
        for id_, source, offset in head.get("others", ()):
            ids.append(id_)
            claims.append((source, offset))
        return cls(index, SlotHead(head["generation"], head["slot"]), ids, claims)

    def _by_source(self) -> Iterable[tuple[str, Sequence[str], Sequence[int]]]:
        sources, offsets = zip(*self.claims, strict=True)
        if len(set(sources)) == 1:
            return [(sources[0], self.ids, offsets)]
        grouped: dict[str, tuple[list[str], list[int]]] = {name: ([], []) for name in sources}
        for id_, (source, offset) in zip(self.ids, self.claims, strict=True):
            of_source = grouped[source]
            of_source[0].append(id_)
            of_source[1].append(offset)
        return [(source, *of_source) for source, of_source in grouped.items()]


class Window:
    """The claims of one partition; `claims` is read by whoever applies events, and only read."""

    def __init__(self, slots: Iterable[Slot] = (), size: int = WINDOW_IDS) -> None:
        """`slots`: the newest ones that together hold at least `size` ids, oldest first."""
        self.claims: dict[str, Claim] = {}
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
            found += len(newest[-1].ids)
        return cls(reversed(newest), size)

    def plan(self, claims: Mapping[str, Claim], generation: int) -> Slot:
        """The slot to write for new claims: a new one, or the newest with these added."""
        last = self._slots[-1] if self._slots else None
        ids, places = [*claims], [*claims.values()]
        if last is not None and len(last.ids) < SLOT_IDS:
            head = SlotHead(generation, last.head.number)
            return Slot(last.index, head, [*last.ids, *ids], [*last.claims, *places])
        used = {slot.index for slot in self._slots}
        index = next(index for index in count() if index not in used)
        number = 0 if last is None else last.head.number + 1
        return Slot(index, SlotHead(generation, number), ids, places)

    def keep(self, slot: Slot) -> None:
        """Take a slot that is stored, and forget what is older than the window."""
        if self._slots and self._slots[-1].index == slot.index:
            self._held -= len(self._slots.pop().ids)
        self._slots.append(slot)
        self._held += len(slot.ids)
        self.claims.update(zip(slot.ids, slot.claims, strict=True))
        while self._held - len(self._slots[0].ids) >= self._size:
            oldest = self._slots.pop(0)
            self._held -= len(oldest.ids)
            for id_, claim in zip(oldest.ids, oldest.claims, strict=True):
                # A newer slot may claim the same id from another place.
                if self.claims.get(id_) is claim:
                    del self.claims[id_]


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


def _pack(ids: Sequence[str]) -> bytes | None:
    """16 bytes for each id; None unless all are UUIDs in the usual form, in lower case."""
    if set(map(len, ids)) != {UUID_LENGTH}:
        return None
    text = "".join(ids)
    if any(set(text[at::UUID_LENGTH]) != {"-"} for at in DASHES) or text != text.lower():
        return None
    digits = text.replace("-", "")
    try:
        packed = bytes.fromhex(digits)
    except ValueError:
        return None
    # Four dashes each, no blanks, which fromhex skips: so each id comes back as it was.
    return packed if len(packed) == len(ids) * ID_BYTES else None


def _unpack(packed: bytes) -> list[str]:
    text = packed.hex()
    return [
        f"{text[at : at + 8]}-{text[at + 8 : at + 12]}-{text[at + 12 : at + 16]}"
        f"-{text[at + 16 : at + 20]}-{text[at + 20 : at + 32]}"
        for at in range(0, len(text), 2 * ID_BYTES)
    ]
