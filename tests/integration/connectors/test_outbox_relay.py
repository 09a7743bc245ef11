from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from connectors.errors import ShardLost
from connectors.outbox import SHARDS
from connectors.outbox_relay import OutboxRelay, RelaySettings
from connectors.postgres.database import Database
from connectors.postgres.event_appender import PostgresEventAppender
from connectors.postgres.migrations import migrate
from connectors.relay_service import RelayPlan, outbox_relay
from connectors.relay_status import RelayStep
from connectors.settings import PostgresSettings
from infra.stack.postgres import _packaged_server, data_dir, start_postgres, stop_postgres
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event
from schemas.topics import SCHEMAS_TOPIC, all_events_topics
from streams.expectation import ANY_VERSION
from streams.kafka.reader import KafkaReader
from streams.publisher import event_record
from streams.records import RawRecord
from streams.settings import KafkaSettings
from tests.contracts.accounts import CATALOG, credited
from tests.contracts.rigs import PARTITIONS, create_topics, unique
from tests.integration.connectors.conftest import eventually
from tests.integration.connectors.crashing_relay import BATCH
from tests.integration.connectors.sessions import outbox
from tests.integration.connectors.test_store_sink import stop_at_once
from tests.integration.streams.own_broker import OwnBroker

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

CODEC = Codec(CATALOG)
TOPIC = "events.domain.high"
ROOT = Path(__file__).parents[3]


@pytest.fixture
def bootstrap(kafka_bootstrap: str) -> str:
    """A broker with the topics of events."""
    create_topics(kafka_bootstrap, [SCHEMAS_TOPIC], 1)
    create_topics(kafka_bootstrap, all_events_topics(), PARTITIONS)
    return kafka_bootstrap


async def append(dsn: str, accounts: Sequence[str], each: int) -> list[Event[Any]]:
    """Append so many events to each account, in turns."""
    appended: list[Event[Any]] = []
    async with Database(PostgresSettings(dsn=dsn)) as database:
        appender = PostgresEventAppender(database, CATALOG, CODEC)
        for number in range(each):
            for account in accounts:
                done = await appender.append([credited(account, number)], ANY_VERSION)
                appended += done.events
    return appended


def waiting(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT count(*) FROM outbox").fetchone()
    return int(row[0]) if row else 0


async def received(bootstrap: str, accounts: Sequence[str]) -> list[RawRecord]:
    """All records of these accounts, in the order of their partitions."""
    keys = {f"Account/{account}".encode() for account in accounts}
    reader = KafkaReader(KafkaSettings(bootstrap=bootstrap), (TOPIC,))
    await reader.start()
    try:
        following = dict(await reader.beginning())
        ends = await reader.end()
        found: list[RawRecord] = []
        while any(following[source] < end for source, end in ends.items()):
            for source, records in (await reader.read(timeout_s=0.2)).items():
                found += records
                following[source] = records[-1].offset + 1
        return [record for record in found if record.key in keys]
    finally:
        await reader.close()


def firsts(records: Sequence[RawRecord]) -> list[str]:
    """Ids in the order in which a reader that drops repeats sees them."""
    return list(dict.fromkeys(CODEC.view(record.value or b"").id for record in records))


def in_order(records: Sequence[RawRecord]) -> dict[str, list[int]]:
    """The versions of each account in the order in which such a reader sees them."""
    seen: dict[str, list[int]] = {}
    known = set()
    for record in records:
        event = CODEC.view(record.value or b"")
        assert event.aggregate is not None
        if event.id not in known:
            known.add(event.id)
            seen.setdefault(event.aggregate.id, []).append(event.aggregate.version or 0)
    return seen


@contextmanager
def relay_process(
    bootstrap: str, dsn: str, step: RelayStep | None = None, silent_s: float = 10.0
) -> Iterator[subprocess.Popen[bytes]]:
    asked = {"bootstrap": bootstrap, "dsn": dsn, "step": step, "silent_s": silent_s}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.connectors.crashing_relay", json.dumps(asked)],
        cwd=ROOT,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@asynccontextmanager
async def running(bootstrap: str, dsn: str) -> AsyncIterator[OutboxRelay]:
    plan = RelayPlan(
        kafka=KafkaSettings(bootstrap=bootstrap),
        postgres=PostgresSettings(dsn=dsn, pool_size=2, acquire_timeout_s=2),
        catalog=Catalog.load(),
        relay=RelaySettings(claim_s=0.2, longest_delay_s=0.5, watch_s=0.2),
    )
    stop = asyncio.Event()
    async with outbox_relay(plan) as relay:
        task = asyncio.create_task(relay.run(stop))
        try:
            yield relay
        finally:
            stop.set()
            await task


async def test_appended_events_reach_kafka_as_published_ones_would(
    bootstrap: str, fresh_database: str
) -> None:
    await migrate(PostgresSettings(dsn=fresh_database))
    accounts = [unique("a") for _ in range(6)]
    appended = await append(fresh_database, accounts, 5)
    async with running(bootstrap, fresh_database) as relay:
        await eventually(lambda: relay.status.sent == len(appended))
        assert relay.status.owned == set(range(SHARDS))
    records = await received(bootstrap, accounts)
    by_id = {event.id: event_record(event, CODEC.encode(event)) for event in appended}
    for record in records:
        expected = by_id.pop(CODEC.view(record.value or b"").id)
        assert (record.topic, record.key, record.value, record.headers) == expected[:4]
    assert by_id == {}
    assert waiting(fresh_database) == 0


async def test_the_schema_is_announced_before_the_first_record_by_a_relay_that_never_knew_it(
    bootstrap: str, fresh_database: str
) -> None:
    await migrate(PostgresSettings(dsn=fresh_database))
    schema = CATALOG.writer_schema("account.credited", "1.0.0")
    assert schema.id not in Catalog.load().schema_ids()
    appended = await append(fresh_database, [unique("a")], 1)
    async with running(bootstrap, fresh_database) as relay:
        await eventually(lambda: relay.status.sent == len(appended))
    reader = KafkaReader(KafkaSettings(bootstrap=bootstrap), (SCHEMAS_TOPIC,))
    await reader.start()
    for source, offset in (await reader.beginning()).items():
        reader.seek(source, offset)
    announced = [record for records in (await reader.read(5_000, 5)).values() for record in records]
    await reader.close()
    assert schema.composed_json.encode() in {record.value for record in announced}


@pytest.mark.slow
@pytest.mark.parametrize("step", list(RelayStep))
async def test_a_kill_after_any_step_loses_and_disorders_nothing(
    bootstrap: str, fresh_database: str, step: RelayStep
) -> None:
    await migrate(PostgresSettings(dsn=fresh_database))
    accounts = [unique("a") for _ in range(5)]
    appended = await append(fresh_database, accounts, 8)
    with relay_process(bootstrap, fresh_database, step) as crashing:
        assert await asyncio.to_thread(crashing.wait, 60) == -signal.SIGKILL
    with relay_process(bootstrap, fresh_database) as restarted:
        await eventually(lambda: waiting(fresh_database) == 0)
        restarted.terminate()
        assert await asyncio.to_thread(restarted.wait, 60) == 0
    records = await received(bootstrap, accounts)
    assert in_order(records) == {account: list(range(1, 9)) for account in accounts}
    assert sorted(firsts(records)) == sorted(event.id for event in appended)
    # One batch of each shard may have been on its way.
    assert len(records) - len(appended) <= SHARDS * BATCH


@pytest.mark.slow
async def test_a_frozen_relay_is_replaced_and_cannot_harm_when_it_thaws(
    bootstrap: str, fresh_database: str
) -> None:
    await migrate(PostgresSettings(dsn=fresh_database))
    accounts = [unique("a") for _ in range(5)]
    appended = await append(fresh_database, accounts, 2)
    with relay_process(bootstrap, fresh_database, silent_s=1.0) as zombie:
        await eventually(lambda: waiting(fresh_database) == 0)
        zombie.send_signal(signal.SIGSTOP)
        appended += await append(fresh_database, accounts, 4)
        with relay_process(bootstrap, fresh_database, silent_s=1.0) as successor:
            await eventually(lambda: waiting(fresh_database) == 0)
            epochs = shard_epochs(fresh_database)
            zombie.send_signal(signal.SIGCONT)
            appended += await append(fresh_database, accounts, 4)
            await eventually(lambda: waiting(fresh_database) == 0)
            # The successor goes on as the owner: the thawed one stands by.
            assert shard_epochs(fresh_database) == epochs
            assert (zombie.poll(), successor.poll()) == (None, None)
    records = await received(bootstrap, accounts)
    assert in_order(records) == {account: list(range(1, 11)) for account in accounts}
    copies = Counter(CODEC.view(record.value or b"").id for record in records)
    assert set(copies) == {event.id for event in appended}


def shard_epochs(dsn: str) -> list[tuple[int, int]]:
    with psycopg.connect(dsn) as connection:
        found = connection.execute("SELECT shard, epoch FROM outbox_shards ORDER BY shard")
        return [(int(row[0]), int(row[1])) for row in found]


async def test_what_an_earlier_owner_sent_it_cannot_remove(fresh_database: str) -> None:
    await migrate(PostgresSettings(dsn=fresh_database))
    await append(fresh_database, [unique("a")], 1)
    async with outbox(fresh_database) as opened:
        owned = [await opened.claim(shard) for shard in range(SHARDS)]
        assert await opened.claim(0) is None
        for shard, owner in enumerate(owned):
            assert owner is not None
            rows = await owner.unsent(10)
            with psycopg.connect(fresh_database) as connection:
                connection.execute(
                    "UPDATE outbox_shards SET epoch = epoch + 1 WHERE shard = %s", (shard,)
                )
            with pytest.raises(ShardLost):
                await owner.remove(rows)
            with pytest.raises(ShardLost):
                await owner.renew()
            await owner.release()
    assert waiting(fresh_database) == 1


@pytest.mark.slow
async def test_postgres_stopped_in_the_middle_loses_nothing_and_work_goes_on(
    bootstrap: str, tmp_path: Path
) -> None:
    server = start_postgres(tmp_path)
    try:
        await migrate(PostgresSettings(dsn=server.dsn))
        account = unique("a")
        appended = await append(server.dsn, [account], 20)
        async with running(bootstrap, server.dsn) as relay:
            await eventually(lambda: relay.status.sent == 20)
            await asyncio.to_thread(stop_at_once, server.process.pid)
            await eventually(lambda: len(relay.status.waiting_for) > 0)
            await asyncio.to_thread(start_postgres, tmp_path)
            appended += await append(server.dsn, [account], 20)
            await eventually(lambda: waiting(server.dsn) == 0)
            await eventually(lambda: not relay.status.waiting_for)
        records = await received(bootstrap, [account])
        assert in_order(records) == {account: list(range(1, 41))}
        assert len(appended) == 40
    finally:
        stop_postgres(tmp_path)


@pytest.mark.slow
async def test_a_dump_that_is_restored_into_a_new_server_sends_on_and_loses_nothing(
    bootstrap: str, fresh_database: str, tmp_path: Path
) -> None:
    """The transaction ids of the new server begin low again."""
    await migrate(PostgresSettings(dsn=fresh_database))
    account = unique("a")
    await append(fresh_database, [account], 3)
    async with running(bootstrap, fresh_database):
        await eventually(lambda: waiting(fresh_database) == 0)
    await append(fresh_database, [account], 2)
    dump = tmp_path / "dump.sql"
    roles = tmp_path / "roles.sql"
    roles.write_text("CREATE ROLE wundr_writer NOLOGIN; CREATE ROLE wundr_reader NOLOGIN;")
    await client(tmp_path, "pg_dump", "-f", str(dump), "-d", fresh_database)
    async with running(bootstrap, fresh_database):
        await eventually(lambda: waiting(fresh_database) == 0)
    try:
        restored = start_postgres(tmp_path).dsn
        for script in (roles, dump):
            await client(
                tmp_path, "psql", "-q", "-v", "ON_ERROR_STOP=1", "-f", str(script), restored
            )
        assert waiting(restored) == 2
        await append(restored, [account], 1)
        async with running(bootstrap, restored):
            await eventually(lambda: waiting(restored) == 0)
    finally:
        stop_postgres(tmp_path)
    records = await received(bootstrap, [account])
    assert in_order(records) == {account: [1, 2, 3, 4, 5, 6]}
    assert len(records) == 8


async def client(state_dir: Path, program: str, *words: str) -> None:
    """Run one of the packaged server's programs to its end."""
    folder = _packaged_server(data_dir(state_dir)).bin_path
    ran = await asyncio.create_subprocess_exec(folder / program, *words, stdout=subprocess.DEVNULL)
    assert await ran.wait() == 0


@pytest.mark.slow
async def test_a_broker_that_is_gone_is_waited_for_and_nothing_is_lost(
    fresh_database: str, tmp_path: Path
) -> None:
    await migrate(PostgresSettings(dsn=fresh_database))
    broker = OwnBroker(tmp_path)
    try:
        await asyncio.to_thread(broker.start)
        create_topics(broker.bootstrap, [SCHEMAS_TOPIC], 1)
        create_topics(broker.bootstrap, [TOPIC], PARTITIONS)
        await append(fresh_database, ["a", "b"], 5)
        async with running(broker.bootstrap, fresh_database) as relay:
            await eventually(lambda: relay.status.sent == 10)
            broker.kill()
            await append(fresh_database, ["a", "b"], 5)
            await eventually(lambda: len(relay.status.waiting_for) > 0)
            await asyncio.to_thread(broker.start)
            await eventually(lambda: relay.status.sent == 20)
            await eventually(lambda: not relay.status.waiting_for)
        records = await received(broker.bootstrap, ["a", "b"])
    finally:
        broker.kill()
    assert in_order(records) == {"a": list(range(1, 11)), "b": list(range(1, 11))}
