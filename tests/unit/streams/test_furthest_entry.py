"""A recovery keeps the furthest entry of each key, also when an older one was written later."""

from __future__ import annotations

import pytest

from streams.coverage import Coverage
from streams.projecting import TableBatch
from streams.projection import Entry
from streams.table import Changes, MemoryTable
from tests.unit.streams.tabling import changelog_of


def entry(generation: int = 1, **positions: int) -> Entry:
    """An entry whose state tells which it is."""
    return Entry(
        state={"positions": positions, "generation": generation},
        coverage=Coverage(positions=dict(positions), generation=generation),
    )


@pytest.fixture
def table() -> MemoryTable:
    return MemoryTable("changelog")


def recover(table: MemoryTable, *entries: Entry, partition: int = 0) -> None:
    """What a recovery does with the records of one key."""
    table.partition(partition).recover([(b"k", known.encode()) for known in entries], None)


async def test_what_a_lost_worker_wrote_late_is_left_out(table: MemoryTable) -> None:
    recover(table, entry(s=1), entry(s=6), entry(s=2))
    assert table.get("k") == entry(s=6).encode()


async def test_what_the_owner_wrote_after_that_counts(table: MemoryTable) -> None:
    recover(table, entry(s=6), entry(s=2), entry(s=7))
    assert table.get("k") == entry(s=7).encode()
    assert table.partition(0).overtaken == set()


async def test_an_own_entry_is_not_set_back_by_a_recovery(table: MemoryTable) -> None:
    table.partition(0).store(Changes({b"k": entry(s=6).encode()}))
    recover(table, entry(s=1), entry(s=6))
    assert table.get("k") == entry(s=6).encode()
    assert table.partition(0).overtaken == set()


async def test_an_entry_that_is_not_the_last_record_of_its_key_is_written_again_once(
    table: MemoryTable,
) -> None:
    recover(table, entry(s=6), entry(s=2), partition=3)
    other, ours = TableBatch({"counted": table}, 0), TableBatch({"counted": table}, 3)
    assert changelog_of(other) == []
    (change,) = changelog_of(ours)
    assert (change.key, change.value, change.partition) == (b"k", entry(s=6).encode(), 3)
    ours.store()
    assert changelog_of(TableBatch({"counted": table}, 3)) == []


async def test_what_is_given_to_another_worker_is_shown_no_more(table: MemoryTable) -> None:
    recover(table, entry(s=6), partition=3)
    table.retain({3})
    assert table.get("k") == entry(s=6).encode()
    table.retain({2})
    assert table.get("k") is None
    assert list(table.entries()) == []
