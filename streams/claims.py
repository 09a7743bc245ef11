"""Ids of events, each with the place where the event was read.

In C where that is built (`streams/_native_folding.c`), 32 bytes each, and in Python, which says the
same.
"""

import struct
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from streams import native

ID_BYTES: Final = 16
OFFSET_BYTES: Final = 8
LOWEST: Final = -(2**63)
FURTHEST: Final = 2**63 - 1
UUID_LENGTH: Final = 36
DASHES: Final = (8, 13, 18, 23)

Claim = tuple[str, int]
"""The source partition and the offset at which an event was read."""

Packed = tuple[str, int, bytes]
"""A source, how many claims, and of these 16 bytes for each id, then 8 for each offset."""


class Claims(Protocol):
    """Where events were read, by id.

    Those that can be packed are in the order in which their ids were put, and so are the others.
    """

    def __len__(self) -> int:
        """How many."""
        ...

    def __contains__(self, id_: object, /) -> bool:
        """Whether the id is claimed."""
        ...

    def get(self, id_: str, /) -> Claim | None:
        """Where the event was read."""
        ...

    def put(self, id_: str, source: str, offset: int, /) -> None:
        """The event was read there; another place of it is forgotten.

        Raises OverflowError where the offset takes more than 8 bytes.
        """
        ...

    def remove(self, id_: str, /) -> None:
        """Forget an id, if it is known."""
        ...

    def update(self, others: Any, /) -> None:
        """Put all of others, which are of the same class."""
        ...

    def items(self) -> Sequence[tuple[str, Claim]]:
        """Ids and places."""
        ...

    def packed(self) -> Sequence[Packed]:
        """All whose ids are UUIDs in the usual form, in lower case; a part for each source."""
        ...

    def others(self) -> Mapping[str, Claim]:
        """All that cannot be packed."""
        ...

    def put_packed(self, source: str, packed: bytes, /) -> None:
        """Put what was packed of one source."""
        ...


class ClaimsInPython:
    """Implements Claims."""

    def __init__(self) -> None:
        self._places: dict[str, Claim] = {}

    def __len__(self) -> int:
        """See Claims."""
        return len(self._places)

    def __contains__(self, id_: object) -> bool:
        """See Claims."""
        return id_ in self._places

    def get(self, id_: str) -> Claim | None:
        """See Claims."""
        return self._places.get(id_)

    def put(self, id_: str, source: str, offset: int) -> None:
        """See Claims."""
        if not LOWEST <= offset <= FURTHEST:
            raise OverflowError("an offset takes at most 8 bytes")
        self._places[id_] = (source, offset)

    def remove(self, id_: str) -> None:
        """See Claims."""
        self._places.pop(id_, None)

    def update(self, others: "ClaimsInPython") -> None:
        """See Claims."""
        self._places.update(others.items())

    def items(self) -> Sequence[tuple[str, Claim]]:
        """See Claims."""
        return [*self._places.items()]

    def packed(self) -> Sequence[Packed]:
        """See Claims."""
        packed: list[Packed] = []
        for source, places in self._by_source().items():
            ids = [id_ for id_ in places if is_packable(id_)]
            if ids:
                offsets = struct.pack(f"<{len(ids)}q", *[places[id_] for id_ in ids])
                digits = "".join(ids).replace("-", "")
                packed.append((source, len(ids), bytes.fromhex(digits) + offsets))
        return packed

    def others(self) -> Mapping[str, Claim]:
        """See Claims."""
        return {id_: place for id_, place in self._places.items() if not is_packable(id_)}

    def put_packed(self, source: str, packed: bytes) -> None:
        """See Claims."""
        count, left = divmod(len(packed), ID_BYTES + OFFSET_BYTES)
        if left:
            raise ValueError("put_packed takes a source, and 24 bytes for each claim")
        middle = count * ID_BYTES
        offsets = struct.unpack(f"<{count}q", packed[middle:])
        for id_, offset in zip(_unpacked_ids(packed[:middle]), offsets, strict=True):
            self.put(id_, source, offset)

    def _by_source(self) -> Mapping[str, Mapping[str, int]]:
        by_source: dict[str, dict[str, int]] = {}
        for id_, (source, offset) in self._places.items():
            by_source.setdefault(source, {})[id_] = offset
        return by_source


def is_packable(id_: str) -> bool:
    """Whether the id is a UUID in the usual form, in lower case."""
    if len(id_) != UUID_LENGTH or any(id_[at] != "-" for at in DASHES):
        return False
    digits = id_.replace("-", "")
    return len(digits) == 2 * ID_BYTES and set(digits) <= set("0123456789abcdef")


def _unpacked_ids(packed: bytes) -> list[str]:
    text = packed.hex()
    return [
        f"{text[at : at + 8]}-{text[at + 8 : at + 12]}-{text[at + 12 : at + 16]}"
        f"-{text[at + 16 : at + 20]}-{text[at + 20 : at + 32]}"
        for at in range(0, len(text), 2 * ID_BYTES)
    ]


new_claims: Final = native.folding.Claims if native.IN_USE else ClaimsInPython
"""Makes Claims that are empty, in C where that is built."""
