"""What every KeyRing promises, in process and on PostgreSQL, with a cache before it and without."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from connectors.postgres.key_database import migrate_keys
from connectors.postgres.key_ring import PostgresKeyRing
from connectors.settings import PostgresSettings
from schemas.errors import SubjectForgotten
from schemas.key_cache import CachedKeyRing
from schemas.key_ring import KEY_BYTES, KeyRing, MemoryKeyRing


@pytest.fixture(
    params=[
        "in process",
        "in process, cached",
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("postgres, cached", marks=pytest.mark.postgres),
    ]
)
async def keys(request: pytest.FixtureRequest) -> AsyncIterator[KeyRing]:
    where, _, cached = request.param.partition(", ")
    if where == "in process":
        ring: KeyRing = MemoryKeyRing()
        yield CachedKeyRing(ring) if cached else ring
        return
    settings = PostgresSettings(dsn=request.getfixturevalue("fresh_database"))
    await migrate_keys(settings)
    stored = PostgresKeyRing(settings)
    yield CachedKeyRing(stored) if cached else stored
    stored.close()


def test_a_subject_has_one_key_which_is_found_by_its_id(keys: KeyRing) -> None:
    key = keys.key_for("ada")
    assert len(key.secret) == KEY_BYTES
    assert key.subject == "ada"
    assert keys.key_for("ada") == key
    assert keys.key(key.id) == key


def test_subjects_share_nothing(keys: KeyRing) -> None:
    ada, bob = keys.key_for("ada"), keys.key_for("ядро 'or'1'='1")
    assert ada.id != bob.id
    assert ada.secret != bob.secret
    assert keys.key(bob.id) == bob


@pytest.mark.parametrize("key_id", ["", "none", "\x00", "x" * 10_000])
def test_an_id_that_no_key_has_finds_none(keys: KeyRing, key_id: str) -> None:
    assert keys.key(key_id) is None


def test_a_forgotten_key_is_gone_and_no_other_is_made(keys: KeyRing) -> None:
    key, other = keys.key_for("ada"), keys.key_for("bob")
    assert keys.key(key.id) == key
    keys.forget("ada")
    assert keys.key(key.id) is None
    with pytest.raises(SubjectForgotten):
        keys.key_for("ada")
    assert keys.key_for("bob") == other


def test_a_subject_without_a_key_is_forgotten_too(keys: KeyRing) -> None:
    keys.forget("eve")
    with pytest.raises(SubjectForgotten):
        keys.key_for("eve")


def test_forgetting_again_tells_when_it_was_done_first(keys: KeyRing) -> None:
    keys.key_for("ada")
    first = keys.forget("ada")
    assert abs(datetime.now(UTC) - first) < timedelta(minutes=1)
    assert keys.forget("ada") == first


def test_a_key_prints_neither_in_its_repr_nor_in_its_text(keys: KeyRing) -> None:
    key = keys.key_for("ada")
    assert repr(key.secret) not in repr(key)
    assert str(key.secret) not in str(key)
