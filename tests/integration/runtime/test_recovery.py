"""Tables are recovered from real changelogs, from where their store stands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from streams.entry_sending import write_entries
from streams.kafka.fetcher import KafkaFetcher
from streams.kafka.sender import KafkaSender
from streams.projecting import TableBatch
from streams.runtime.stores.opening import open_store
from streams.runtime.table_recovery import TableRecovery
from streams.settings import KafkaSettings
from streams.table import MemoryTable, Table
from streams.table_store import TableStore
from tests.integration.runtime.team import PARTITIONS
from tests.unit.streams.tabling import event, fold_each, ids_in, record

pytestmark = pytest.mark.kafka

MakeTopics = Callable[..., Awaitable[None]]
KEYS = 500


async def work(table: Table, partition: int, numbers: Sequence[int], sender: KafkaSender) -> None:
    """A batch of a worker: its changelog is acknowledged, then it is stored."""
    batch = TableBatch({"collected": table}, partition)
    deliveries = [(record(it, b"%d/%d" % (partition, it % KEYS)), event(it)) for it in numbers]
    assert fold_each(batch, deliveries) == []
    batch.store(await write_entries(sender, batch.changelog()))


@pytest.mark.parametrize("kind", list(TableStore))
async def test_a_table_is_recovered_from_where_its_store_stands(
    kafka: KafkaSettings,
    sender: KafkaSender,
    make_topics: MakeTopics,
    unique: str,
    tmp_path: Path,
    kind: TableStore,
) -> None:
    changelog = f"{unique}-changelog"
    await make_topics(changelog)
    owner = MemoryTable(changelog)
    for partition in range(PARTITIONS):
        for first in (0, 700):
            await work(owner, partition, range(first, first + 700), sender)
    totals = []
    for numbers in (range(1_400, 1_410), range(1_410, 1_420)):
        table = Table(changelog, open_store(kind, tmp_path, "log"))
        recovery = TableRecovery(lambda: KafkaFetcher(kafka))
        await recovery.recover({"collected": table}, range(PARTITIONS))
        assert ids_in(table) == ids_in(owner)
        totals.append(sum(it.total for it in recovery.progress))
        await work(table, 0, numbers, sender)
        owner = MemoryTable(changelog)
        await TableRecovery(lambda: KafkaFetcher(kafka)).recover(
            {"collected": owner}, range(PARTITIONS)
        )
        assert ids_in(owner) == ids_in(table)
        table.close()
    everything = PARTITIONS * 2 * (KEYS + 1)
    again = 0 if kind is TableStore.ROCKSDB else everything + 11
    assert totals == [everything, again]


async def test_a_new_owner_drops_what_the_one_before_had_applied(
    kafka: KafkaSettings, sender: KafkaSender, make_topics: MakeTopics, unique: str
) -> None:
    changelog = f"{unique}-changelog"
    await make_topics(changelog)
    first, second = MemoryTable(changelog), MemoryTable(changelog, generation=lambda: 1)
    await work(first, 2, range(300), sender)
    await TableRecovery(lambda: KafkaFetcher(kafka)).recover({"collected": second}, [2])
    await work(second, 2, range(200, 400), sender)
    assert {key: len(ids) for key, ids in ids_in(second).items()} == {
        f"2/{number}": 1 for number in range(400)
    }
