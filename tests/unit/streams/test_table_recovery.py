"""Recovery reads changelogs to their ends, says how far it is, and gives up in time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pytest
import structlog.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.entry_sending import Stretch
from streams.errors import PartitionMismatch
from streams.memory.fetcher import MemoryFetcher
from streams.memory.log import MemoryLog
from streams.projecting import TableBatch
from streams.records import OutgoingRecord, RawRecord, TopicPartition
from streams.runtime.errors import RecoveryOverdue
from streams.runtime.stores.opening import open_store
from streams.runtime.table_recovery import RecoveryProgress, TableRecovery
from streams.table import MemoryTable, Table
from streams.table_store import TableStore
from tests.unit.streams.tabling import changelog_of, event, fold_each, ids_in, record

CHANGELOG = "changelog"


class Watched(MemoryFetcher):
    """Notes where it began; may leave out records, as compaction does, or be slow."""

    def __init__(self, log: MemoryLog, removed: Collection[TopicPartition] = ()) -> None:
        super().__init__(log)
        self.starts: Mapping[TopicPartition, int] = {}
        self.is_closed = False
        self._removed = removed

    async def start(self, starts: Mapping[TopicPartition, int]) -> None:
        """See PartitionFetcher."""
        self.starts = dict(starts)
        await super().start(starts)

    async def fetch(
        self, sources: Collection[TopicPartition], max_records: int, timeout_s: float
    ) -> Mapping[TopicPartition, Sequence[RawRecord]]:
        """Without the records of partitions that were compacted away as a whole."""
        fetched = await super().fetch(sources, min(3, max_records), 0)
        return {
            source: records for source, records in fetched.items() if source not in self._removed
        }

    async def close(self) -> None:
        """See PartitionFetcher."""
        self.is_closed = True


class Rig:
    """A log, fetchers on it, a clock that moves with each look."""

    def __init__(self, removed: Collection[TopicPartition] = (), deadline_s: float = 1e9) -> None:
        self.log = MemoryLog(partitions=4)
        self.fetchers: list[Watched] = []
        self.now = 0.0
        self.removed = removed
        self.recovery = TableRecovery(self.open_fetcher, self.clock, deadline_s)

    def open_fetcher(self) -> Watched:
        self.fetchers.append(Watched(self.log, self.removed))
        return self.fetchers[-1]

    def clock(self) -> float:
        self.now += 1.0
        return self.now

    def work(self, table: Table, partition: int, *numbers: int) -> None:
        """A batch that is acknowledged and stored."""
        batch = TableBatch({"collected": table}, partition)
        fold_each(batch, [(record(it, b"k%d" % partition), event(it)) for it in numbers])
        places = [self.log.append(change) for change in changelog_of(batch)]
        batch.store([Stretch(it.topic, range(it.offset, it.offset + 1)) for it in places])

    async def recover(self, table: Table, *partitions: int) -> None:
        await self.recovery.recover({"collected": table}, partitions)


async def test_a_table_is_recovered_for_its_partitions_alone() -> None:
    rig, owner, table = Rig(), MemoryTable(CHANGELOG), MemoryTable(CHANGELOG)
    for partition in range(4):
        for numbers in ((1, 2), (3,), (4, 5, 6)):
            rig.work(owner, partition, *numbers)
    await rig.recover(table, 1, 2)
    assert ids_in(table) == {key: ids_in(owner)[key] for key in ("k1", "k2")}
    assert rig.recovery.progress == [
        RecoveryProgress("collected", partition, 6, 6) for partition in (1, 2)
    ]
    assert all(fetcher.is_closed for fetcher in rig.fetchers)


async def test_repeats_are_known_after_a_recovery() -> None:
    rig, owner, table = Rig(), MemoryTable(CHANGELOG), MemoryTable(CHANGELOG)
    rig.work(owner, 1, 1, 2)
    await rig.recover(table, 1)
    batch = TableBatch({"collected": table}, 1)
    fold_each(batch, [(record(9, b"k1"), event(1)), (record(2, b"k1"), event(2))])
    batch.store()
    assert ids_in(table) == ids_in(owner)


async def test_an_empty_changelog_and_no_tables_are_recovered_at_once() -> None:
    rig = Rig()
    await rig.recover(MemoryTable(CHANGELOG), 0, 1)
    assert [it.total for it in rig.recovery.progress] == [0, 0]
    await rig.recovery.recover({}, [0, 1])
    assert rig.recovery.progress == []
    assert len(rig.fetchers) == 1


async def test_the_last_records_may_have_been_compacted_away() -> None:
    rig = Rig(removed={TopicPartition(CHANGELOG, 1)})
    owner, table = MemoryTable(CHANGELOG), MemoryTable(CHANGELOG)
    for partition in (0, 1):
        rig.work(owner, partition, 1)
    await rig.recover(table, 0, 1)
    assert ids_in(table).keys() == {"k0"}
    assert table.partition(1).next_offset == 2


async def test_a_partition_that_is_kept_reads_only_what_is_new() -> None:
    rig, table = Rig(), MemoryTable(CHANGELOG)
    await rig.recover(table, 0, 1)
    rig.work(table, 0, 1)
    rig.work(table, 1, 1)
    await rig.recover(table, 1, 2)
    starts = {source.partition: start for source, start in rig.fetchers[-1].starts.items()}
    assert starts == {1: 2, 2: 0}
    assert table.keys() == ("k1",)


async def test_what_came_from_somebody_else_in_between_is_read_by_the_next_recovery() -> None:
    rig, table = Rig(), MemoryTable(CHANGELOG)
    await rig.recover(table, 1)
    rig.log.append(OutgoingRecord(topic=CHANGELOG, key=None, value=None, partition=1))
    rig.work(table, 1, 1)
    await rig.recover(table, 1)
    assert list(rig.fetchers[-1].starts.values()) == [0]
    assert ids_in(table) == {"k1": [event(1).id]}


async def test_a_store_on_disk_goes_on_at_its_offset(tmp_path: Path) -> None:
    rig, owner = Rig(), MemoryTable(CHANGELOG)
    rig.work(owner, 1, 1)
    for number in (2, 3):
        table = Table(CHANGELOG, open_store(TableStore.ROCKSDB, tmp_path, "log"))
        await rig.recover(table, 1)
        assert ids_in(table) == ids_in(owner)
        table.close()
        rig.work(owner, 1, number)
    assert [list(fetcher.starts.values()) for fetcher in rig.fetchers] == [[0], [2]]


async def test_a_store_that_knows_more_than_its_changelog_is_begun_anew(tmp_path: Path) -> None:
    table = Table(CHANGELOG, open_store(TableStore.ROCKSDB, tmp_path, "log"))
    before, after = Rig(), Rig()
    before.work(table, 1, 1, 2)
    before.work(table, 1, 3)
    after.work(MemoryTable(CHANGELOG), 1, 7)
    with structlog.testing.capture_logs() as logs:
        await after.recover(table, 1)
    assert ids_in(table) == {"k1": [event(7).id]}
    assert logs[0]["log_level"] == "error"
    assert [list(fetcher.starts.values()) for fetcher in after.fetchers] == [[4], [0]]
    assert all(fetcher.is_closed for fetcher in after.fetchers)
    table.close()


async def test_an_overdue_recovery_says_where_it_stands_and_keeps_what_it_has() -> None:
    rig, owner, table = Rig(deadline_s=3), MemoryTable(CHANGELOG), MemoryTable(CHANGELOG)
    for number in range(20):
        rig.work(owner, 2, number)
    with pytest.raises(RecoveryOverdue, match=r"collected/2 at 9 of 40"):
        await rig.recover(table, 2)
    assert rig.recovery.progress == [RecoveryProgress("collected", 2, 9, 40)]
    assert rig.fetchers[0].is_closed
    await TableRecovery(rig.open_fetcher).recover({"collected": table}, [2])
    assert ids_in(table) == ids_in(owner)


async def test_a_changelog_without_a_partition_is_refused_by_name() -> None:
    class Short(Watched):
        async def ends(self, sources: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
            known = [source for source in sources if source.partition < 2]
            return await super().ends(known)

    log = MemoryLog(partitions=4)
    with pytest.raises(PartitionMismatch, match="changelog/2, changelog/3"):
        await TableRecovery(lambda: Short(log)).recover(
            {"collected": MemoryTable(CHANGELOG)}, range(4)
        )


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 5)), max_size=20))
async def test_a_recovered_table_equals_the_one_that_was_written(
    batches: list[tuple[int, int]],
) -> None:
    rig, owner, table = Rig(), MemoryTable(CHANGELOG), MemoryTable(CHANGELOG)
    number = 0
    for partition, length in batches:
        rig.work(owner, partition, *range(number, number + length))
        number += length
    await rig.recover(table, *range(4))
    assert sorted(table.items()) == sorted(owner.items())
