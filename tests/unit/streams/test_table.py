"""What a table keeps of its changelog, what it must write again, what it shows."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from streams.coverage import Coverage, OneSource
from streams.memory.table_store import MemoryEntryStore
from streams.projection import Entry
from streams.table import HOT_ENTRIES, Change, Changes, OpenEntry, Table
from tests.unit.streams.tabling import (
    PARTITION,
    batch_on,
    changelog_of,
    changes_of,
    event,
    fold_each,
    ids_in,
    record,
    recovered,
    table,
)


def value(generation: int = 1, **positions: int) -> bytes:
    """An entry whose state tells which it is."""
    coverage = Coverage(positions=dict(positions), generation=generation)
    return Entry(state={"was": f"{positions}"}, coverage=coverage).encode()


def of_k(*values: bytes) -> list[Change]:
    return [(b"k", it) for it in values]


def rewritten(target: Table) -> list[Change]:
    """What the next batch writes although it changes nothing."""
    batch = batch_on(target)
    written = changes_of(changelog_of(batch))
    batch.store()
    return written


def test_what_a_lost_worker_wrote_late_is_left_out_and_the_entry_is_written_again_once() -> None:
    target = recovered(of_k(value(s=1), value(s=6), value(s=2)))
    assert target.get("k") == value(s=6)
    assert rewritten(target) == of_k(value(s=6))
    assert rewritten(target) == []


def test_what_the_owner_wrote_after_that_counts() -> None:
    target = recovered(of_k(value(s=6), value(s=2), value(s=7)))
    assert target.get("k") == value(s=7)
    assert rewritten(target) == []


def test_another_partition_writes_nothing_again() -> None:
    target = recovered(of_k(value(s=6), value(s=2)))
    assert target.partition(PARTITION + 1).overtaken == set()


@pytest.mark.parametrize(
    ("known", "later", "kept"),
    [
        (value(3, s=5), value(1, s=6), value(3, s=6)),
        (value(1, s=6), value(3, s=5), value(3, s=6)),
        (value(3, s=5), value(3, s=6), value(3, s=6)),
    ],
)
def test_an_entry_that_stands_for_another_one_too_gets_the_higher_generation(
    known: bytes, later: bytes, kept: bytes
) -> None:
    target = recovered(of_k(known, later))
    found = target.get("k")
    assert found is not None
    assert Entry.decode(found).coverage == Entry.decode(kept).coverage
    assert rewritten(target) == ([] if kept == later else of_k(found))


def test_a_recovery_that_reads_everything_again_changes_nothing() -> None:
    log = of_k(value(s=1), value(s=6))
    target = recovered(log)
    target.partition(PARTITION).recover(log, None)
    assert target.get("k") == value(s=6)
    assert rewritten(target) == []


def test_records_without_key_or_value_are_left_out() -> None:
    assert recovered([(None, b"x"), (b"k", None)]).keys() == ()


def offsets_after(*batches: Iterable[int]) -> int:
    target = table()
    target.partition(PARTITION).recover([], 10)
    for offsets in batches:
        target.partition(PARTITION).store(Changes({}), list(offsets))
    return target.partition(PARTITION).next_offset


def test_own_records_that_follow_each_other_need_no_recovery() -> None:
    assert offsets_after([11, 10], [12], []) == 13


def test_what_stands_behind_a_record_of_somebody_else_is_read_again() -> None:
    assert offsets_after([10], [12], [13]) == 11


def test_what_must_be_written_again_is_read_again_until_it_is_written() -> None:
    target = table()
    partition = target.partition(PARTITION)
    partition.recover(of_k(value(s=6)), 1)
    partition.recover(of_k(value(s=2)), 2)
    partition.recover([(b"other", value(s=1))], 3)
    assert partition.next_offset == 1
    partition.recover(of_k(value(s=6)), 4)
    assert partition.next_offset == 4


def test_only_partitions_that_the_worker_has_are_shown() -> None:
    target = table()
    for number in (0, 1):
        target.partition(number).store(Changes({b"k%d" % number: value(s=number)}))
    assert [(it.key, it.partition) for it in target.entries()] == [("k0", 0), ("k1", 1)]
    target.retain({1, 2})
    assert target.keys() == ("k1",)
    assert (target.get("k0"), target.get("k1")) == (None, value(s=1))
    assert target.partition(0).value(b"k0") is None


def test_ids_are_shown_nowhere() -> None:
    target = table()
    batch = batch_on(target)
    fold_each(batch, [(record(0), event(0))])
    batch.store()
    assert target.keys() == ("k",)
    assert target.get("ids/0") is None


def test_a_cleared_partition_is_recovered_from_the_beginning() -> None:
    target = recovered(of_k(value(s=6), value(s=2)))
    partition = target.partition(PARTITION)
    partition.store(Changes({}), [])
    partition.clear()
    assert (target.keys(), partition.next_offset, rewritten(target)) == ((), 0, [])
    fold = batch_on(target)
    fold_each(fold, [(record(0), event(0))])
    fold.store()
    assert ids_in(target).keys() == {"k"}


class CountingStore(MemoryEntryStore):
    """Counts how often it was asked."""

    asked = 0

    def get(self, partition: int, key: bytes) -> bytes | None:
        self.asked += 1
        return super().get(partition, key)


def test_an_entry_is_kept_at_hand_until_many_others_were_in_work() -> None:
    store = CountingStore()
    partition = Table("changelog", store).partition(PARTITION)
    partition.store(Changes({b"k": value(s=6)}))
    for first in (0, 1):
        entry = partition.take(b"k")
        assert entry is not None
        assert (entry.coverage.positions, store.asked) == ({"s": 6}, 0)
        partition.store(Changes({b"%d/%d" % (first, it): value(s=1) for it in range(HOT_ENTRIES)}))
    again = partition.take(b"k")
    assert again is not None
    assert (again.coverage.positions, store.asked) == ({"s": 6}, 1)


def test_what_was_stored_last_is_at_hand_where_an_older_value_cools_down() -> None:
    partition = table().partition(PARTITION)
    others = {b"%d" % it: value(s=1) for it in range(HOT_ENTRIES - 1)}
    partition.store(Changes({b"k": value(s=6), **others}))
    partition.store(Changes({b"other": value(s=1)}))
    partition.store(Changes({b"k": value(s=7)}))
    again = partition.take(b"k")
    assert again is not None
    assert again.coverage.positions == {"s": 7}


def test_what_is_cleared_is_at_hand_no_more() -> None:
    partition = table().partition(PARTITION)
    partition.store(Changes({b"k": value(s=6)}))
    partition.clear()
    assert partition.take(b"k") is None


def test_a_recovery_forgets_what_was_at_hand() -> None:
    target = recovered(of_k(value(s=6)))
    partition = target.partition(PARTITION)
    partition.store(Changes({b"k": value(s=7)}))
    partition.recover(of_k(value(s=9)), None)
    again = partition.take(b"k")
    assert again is not None
    assert again.coverage.positions == {"s": 9}


@pytest.mark.parametrize("generation", [1, 2])
def test_an_entry_of_one_source_is_written_in_the_generation_that_it_is_asked_for(
    generation: int,
) -> None:
    entry = OpenEntry(OneSource.of("s", 1), b'{"seen":3}', 6)
    found = Entry.decode(entry.encode(generation))
    assert found.coverage == Coverage(positions={"s": 6}, generation=generation)
    assert found.state == {"seen": 3}
