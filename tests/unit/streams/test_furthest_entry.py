"""A recovery keeps the furthest entry of each key, also when an older one was written later."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from streams.coverage import Coverage
from streams.projecting import TableBatch
from streams.projection import Entry
from streams.runtime.member import GroupMember
from streams.runtime.tables import FaustTable, RecoveringStore
from streams.settings import KafkaSettings
from streams.table import Changes


def entry(generation: int = 1, **positions: int) -> Entry:
    """An entry whose state tells which it is."""
    return Entry(
        state={"positions": positions, "generation": generation},
        coverage=Coverage(positions=dict(positions), generation=generation),
    )


@pytest.fixture
async def table(tmp_path: Path) -> FaustTable:
    kafka = KafkaSettings(bootstrap="127.0.0.1:1")
    member = GroupMember("app.main", kafka, tmp_path, {"counted": "changelog"})
    return member.tables["counted"]


def recover(table: FaustTable, *entries: Entry, partition: int = 0) -> None:
    """What Faust does with the records of one key."""
    events = [
        SimpleNamespace(
            key=b"k",
            value=known.encode(),
            message=SimpleNamespace(partition=partition, value=known.encode()),
        )
        for known in entries
    ]
    faust_table: Any = table.faust_table
    faust_table.apply_changelog_batch(events)


async def test_what_a_lost_worker_wrote_late_is_left_out(table: FaustTable) -> None:
    recover(table, entry(s=1), entry(s=6), entry(s=2))
    assert table.get("k") == entry(s=6).encode()


async def test_what_the_owner_wrote_after_that_counts(table: FaustTable) -> None:
    recover(table, entry(s=6), entry(s=2), entry(s=7))
    assert table.get("k") == entry(s=7).encode()
    assert table.partition(0).overtaken == set()


async def test_an_own_entry_is_not_set_back_by_a_recovery(table: FaustTable) -> None:
    table.partition(0).store(Changes({b"k": entry(s=6).encode()}))
    recover(table, entry(s=1), entry(s=6))
    assert table.get("k") == entry(s=6).encode()
    assert table.partition(0).overtaken == set()


async def test_an_entry_that_is_not_the_last_record_of_its_key_is_written_again_once(
    table: FaustTable,
) -> None:
    recover(table, entry(s=6), entry(s=2), partition=3)
    other, ours = TableBatch({"counted": table}, 0), TableBatch({"counted": table}, 3)
    assert other.changelog() == []
    (change,) = ours.changelog()
    assert (change.key, change.value, change.partition) == (b"k", entry(s=6).encode(), 3)
    ours.store()
    assert TableBatch({"counted": table}, 3).changelog() == []


async def test_what_faust_gives_to_another_worker_is_shown_no_more(table: FaustTable) -> None:
    recover(table, entry(s=6), partition=3)
    store: Any = table.faust_table.data
    assert isinstance(store, RecoveringStore)
    await store.on_recovery_completed({TP("changelog", 3)}, set())
    assert table.get("k") == entry(s=6).encode()
    await store.on_recovery_completed({TP("changelog", 2)}, set())
    assert table.get("k") is None
    assert list(table.entries()) == []
