"""Keys that a process remembers: so many, and each for so long."""

import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from typing import Final, Generic, NamedTuple, TypeVar

from schemas.key_ring import KeyRing, SubjectKey

MOST_KEYS: Final = 10_000
KEY_CACHE_S: Final = 60.0
"""For so long may a process still use a key that another one has deleted."""

ValueT = TypeVar("ValueT")


class CachedKeyRing:
    """Implements KeyRing over another one.

    That a key is not there is remembered, too: a deleted key never comes back, and history is full
    of events that name it. `clock` counts seconds. For one thread.
    """

    def __init__(
        self,
        ring: KeyRing,
        *,
        most_keys: int = MOST_KEYS,
        seconds: float = KEY_CACHE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ring = ring
        self._by_subject: _Remembered[SubjectKey] = _Remembered(most_keys, seconds, clock)
        self._by_id: _Remembered[SubjectKey | None] = _Remembered(most_keys, seconds, clock)

    def key_for(self, subject: str) -> SubjectKey:
        """See KeyRing."""
        return self._by_subject.get(subject, self._ring.key_for)

    def key(self, key_id: str) -> SubjectKey | None:
        """See KeyRing."""
        return self._by_id.get(key_id, self._ring.key)

    def forget(self, subject: str) -> datetime:
        """See KeyRing. This process forgets at once, others within the time of their caches."""
        forgotten_at = self._ring.forget(subject)
        self._by_subject.clear()
        self._by_id.clear()
        return forgotten_at


class _Entry(NamedTuple, Generic[ValueT]):
    value: ValueT
    until: float


class _Remembered(Generic[ValueT]):
    """Answers by what was asked; the one that was asked for longest ago goes first."""

    def __init__(self, most: int, seconds: float, clock: Callable[[], float]) -> None:
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._entries: OrderedDict[str, _Entry[ValueT]] = OrderedDict()

    def get(self, name: str, ask: Callable[[str], ValueT]) -> ValueT:
        """The remembered answer, else a new one."""
        now = self._clock()
        entry = self._entries.get(name)
        if entry is None or entry.until <= now:
            entry = self._entries[name] = _Entry(ask(name), now + self._seconds)
            if len(self._entries) > self._most:
                self._entries.popitem(last=False)
        self._entries.move_to_end(name)
        return entry.value

    def clear(self) -> None:
        self._entries.clear()
