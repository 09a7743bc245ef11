from datetime import datetime

import pytest

from schemas.errors import SubjectForgotten
from schemas.key_cache import CachedKeyRing
from schemas.key_ring import MemoryKeyRing, SubjectKey


class CountedRing:
    """A ring that notes what it was asked."""

    def __init__(self) -> None:
        self.ring = MemoryKeyRing()
        self.asked: list[str] = []

    def key_for(self, subject: str) -> SubjectKey:
        self.asked.append(subject)
        return self.ring.key_for(subject)

    def key(self, key_id: str) -> SubjectKey | None:
        self.asked.append(key_id)
        return self.ring.key(key_id)

    def forget(self, subject: str) -> datetime:
        return self.ring.forget(subject)


class Clock:
    """Seconds that pass when told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_an_answer_is_remembered_for_its_time_and_then_asked_for_again() -> None:
    ring, clock = CountedRing(), Clock()
    cache = CachedKeyRing(ring, seconds=60, clock=clock)
    key = cache.key_for("ada")
    assert cache.key_for("ada") == key
    assert cache.key(key.id) == cache.key(key.id) == key
    assert cache.key("none") is cache.key("none") is None
    assert ring.asked == ["ada", key.id, "none"]
    clock.now = 60
    assert cache.key(key.id) == key
    assert ring.asked[3:] == [key.id]


def test_what_another_process_deleted_is_unknown_after_the_time_of_the_cache() -> None:
    ring, clock = CountedRing(), Clock()
    cache = CachedKeyRing(ring, seconds=60, clock=clock)
    key = cache.key_for("ada")
    cache.key(key.id)
    ring.forget("ada")
    clock.now = 59.9
    assert cache.key(key.id) == key
    clock.now = 60
    assert cache.key(key.id) is None
    with pytest.raises(SubjectForgotten):
        cache.key_for("ada")


def test_what_this_process_deletes_is_unknown_at_once() -> None:
    cache = CachedKeyRing(MemoryKeyRing())
    key = cache.key_for("ada")
    cache.key(key.id)
    cache.forget("ada")
    assert cache.key(key.id) is None
    with pytest.raises(SubjectForgotten):
        cache.key_for("ada")


def test_no_more_keys_than_the_bound_are_remembered_and_the_oldest_go_first() -> None:
    ring = CountedRing()
    cache = CachedKeyRing(ring, most_keys=2)
    for subject in ("ada", "bob", "ada", "eve", "ada", "bob"):
        cache.key_for(subject)
    assert ring.asked == ["ada", "bob", "eve", "bob"]
