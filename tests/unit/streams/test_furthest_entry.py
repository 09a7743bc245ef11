"""A recovery keeps the furthest entry of each key, also when an older one was written later."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from streams.projecting import TableBatch
from streams.projection import Entry
from streams.runtime.member import GroupMember
from streams.runtime.tables import FaustTable
from streams.settings import KafkaSettings


def entry(generation: int = 1, **positions: int) -> Entry:
    """An entry whose state tells which it is."""
    return Entry(
        state={"positions": positions, "generation": generation},
        positions=dict(positions),
        generation=generation,
    )


@pytest.mark.parametrize(
    ("later", "earlier", "replaces"),
    [
        (entry(s=5), entry(s=4), True),
        (entry(s=4), entry(s=5), False),
        (entry(s=5), entry(s=5), True),
        (entry(s=5, t=0), entry(s=5), True),
        (entry(s=5), entry(s=5, t=0), False),
        (entry(2, s=4), entry(1, s=5), False),
        (entry(2, s=6, t=1), entry(1, s=5, t=3), True),
        (entry(1, s=6, t=1), entry(2, s=5, t=3), False),
    ],
)
def test_the_entry_that_lacks_nothing_stays_and_else_the_one_of_the_higher_generation(
    later: Entry, earlier: Entry, *, replaces: bool
) -> None:
    assert later.replaces(earlier) is replaces


def test_an_entry_keeps_its_generation_and_one_that_was_written_without_is_of_the_first() -> None:
    assert Entry.decode(entry(7).encode()).generation == 7
    assert Entry.decode(b'{"state":{},"positions":{},"recent":[]}').generation == 0


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
    faust_table: Any = table._store.table
    faust_table.apply_changelog_batch(events)


async def test_what_a_lost_worker_wrote_late_is_left_out(table: FaustTable) -> None:
    recover(table, entry(s=1), entry(s=6), entry(s=2))
    assert table.get("k") == entry(s=6).encode()


async def test_what_the_owner_wrote_after_that_counts(table: FaustTable) -> None:
    recover(table, entry(s=6), entry(s=2), entry(s=7))
    assert table.get("k") == entry(s=7).encode()
    assert table.overtaken(0) == []


async def test_an_own_entry_is_not_set_back_by_a_recovery(table: FaustTable) -> None:
    table.put("k", entry(s=6).encode(), 0)
    recover(table, entry(s=1), entry(s=6))
    assert table.get("k") == entry(s=6).encode()
    assert table.overtaken(0) == []


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
