"""Forgetting a person on real parts: before and after, rebuilt and restored."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from confluent_kafka import Producer

from connectors.erasure import ErasureReport, Means, Place
from connectors.postgres.database import Database
from connectors.postgres.event_appender import PostgresEventAppender
from connectors.postgres.event_store import PostgresEventStore
from connectors.postgres.key_database import prepare_key_database
from connectors.postgres.key_ring import PostgresKeyRing
from connectors.postgres.migrations import migrate
from connectors.postgres.snapshots import PostgresSnapshots
from connectors.projection_rebuild import Rebuild
from connectors.projection_service import projection_edges
from connectors.restore_service import RestorePlan, store_restore
from connectors.settings import PostgresSettings
from connectors.store_plan import StorePlan
from infra.erasing import forget_subject
from infra.stored_projections import find_projection
from infra.topics import topic_ids
from schemas.codec import Codec
from schemas.errors import SubjectForgotten
from schemas.event import Event
from schemas.headers import event_headers
from schemas.key_cache import CachedKeyRing
from schemas.protection import ERASED, PROTECTED
from streams.expectation import NO_EVENTS
from streams.memory.log import MemoryLog
from streams.memory.schemas import MemoryWriterSchemas
from streams.partitioner import partition_of
from streams.settings import KafkaSettings
from streams.snapshot import Snapshot
from tests.integration.connectors.conftest import PARTITIONS, Archive
from tests.integration.infra.wundr_command import wundr
from tests.unit.schemas.personal_orders import order, order_catalog

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

APP = "tests.integration.connectors.personal_app"
CATALOG = order_catalog()
ADA, BOB = "Ada Lovelace", "Bob Oblong"
AT_ONCE = timedelta(0)


@dataclass
class Shop:
    """A store that is filled from a topic, with its keys in a database of their own."""

    archive: Archive
    dsn: str
    keys_dsn: str
    keys: PostgresKeyRing

    @property
    def plan(self) -> StorePlan:
        return StorePlan(
            kafka=KafkaSettings(bootstrap=self.archive.bootstrap, schema_wait_s=0.5),
            postgres=PostgresSettings(dsn=self.dsn),
            catalog=CATALOG,
            keys=CachedKeyRing(self.keys),
        )

    def publish(self, *events: Event[Any]) -> None:
        """Write the events to the archive, sealed."""
        producer = Producer({"bootstrap.servers": self.archive.bootstrap})
        codec = Codec(CATALOG, keys=self.keys)
        for event in events:
            producer.produce(
                self.archive.settings.topic,
                partition=partition_of(event.key.encode(), PARTITIONS),
                key=event.id.encode(),
                value=codec.encode(event),
                headers=list(event_headers(event)),
            )
        assert producer.flush(30) == 0

    async def restore(self) -> None:
        """Fill an empty database from the topic, which needs no keys."""
        with psycopg.connect(self.dsn) as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")
        await migrate(PostgresSettings(dsn=self.dsn))
        topic = self.archive.settings.topic
        plan = RestorePlan(
            kafka=self.plan.kafka,
            postgres=self.plan.postgres,
            topic_id=topic_ids(self.archive.bootstrap, [topic])[topic],
            catalog=CATALOG,
            topic=topic,
        )
        async with store_restore(plan) as restore:
            assert (await restore.run()).refused == 0

    async def build(self) -> None:
        """Fold history into every projection of the app."""
        async with projection_edges(self.plan) as edges:
            for name in ("customers", "workers"):
                found = await find_projection(edges, name, APP)
                assert found.known is not None
                await Rebuild(found.known, found.projection, edges, uuid.uuid4().hex).run()

    async def forget(self, subject: str) -> ErasureReport:
        return await forget_subject(self.plan, subject, AT_ONCE)

    async def names(self, keys: PostgresKeyRing | None) -> list[str]:
        """What somebody with these keys reads of the stored events."""
        codec = Codec(CATALOG, keys=keys)
        async with Database(self.plan.postgres) as database:
            schemas = MemoryWriterSchemas(MemoryLog(), codec, wait_s=0)
            store = PostgresEventStore(database, codec, schemas)
            found = [await store.get_events("Order", name) for name in ("o1", "o2")]
        return [event.payload["name"] for events in found for event in events]

    def customers(self) -> dict[str, str]:
        rows = self.all("SELECT key, state ->> 'name' FROM projection_rows")
        return dict(rows)

    def all(self, query: str) -> list[Any]:
        with psycopg.connect(self.dsn) as connection:
            return connection.execute(query.encode()).fetchall()

    def text(self) -> str:
        """Everything that the database holds, for whoever looks for a name in it."""
        tables = self.all("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        rows = [self.all(f'SELECT it::text FROM "{name}" AS it') for (name,) in tables]
        return str(rows)


@pytest.fixture
async def shop(archive: Archive, fresh_database: str) -> AsyncIterator[Shop]:
    database = f"keys_{uuid.uuid4().hex}"
    keys_dsn = urlsplit(fresh_database)._replace(path=f"/{database}").geturl()
    settings = PostgresSettings(dsn=keys_dsn)
    await prepare_key_database(settings, PostgresSettings(dsn=fresh_database))
    keys = PostgresKeyRing(settings)
    made = Shop(archive=archive, dsn=fresh_database, keys_dsn=keys_dsn, keys=keys)
    made.publish(
        order(CATALOG, orderId="o1", name=ADA, photo=None),
        order(CATALOG, orderId="o2", buyerId="bob", name=BOB, photo=None),
    )
    await made.restore()
    yield made
    keys.close()
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{database}" WITH (FORCE)'.encode())


def named(report: ErasureReport, name: str) -> Place:
    [found] = [place for place in report.places if place.name == name]
    return found


def hexed(text: str) -> Sequence[str]:
    """A text as the database prints it, in columns of text and of bytes."""
    return text, text.encode().hex()


async def test_a_store_holds_ciphertext_and_whoever_has_keys_reads_it(shop: Shop) -> None:
    stored = shop.text()
    assert all(form not in stored for name in (ADA, BOB) for form in hexed(name))
    assert "wundr.1." in stored
    assert await shop.names(shop.keys) == [ADA, BOB]
    assert await shop.names(None) == [PROTECTED, PROTECTED]


async def test_after_a_forget_nothing_in_the_store_says_the_name(shop: Shop) -> None:
    await shop.build()
    async with Database(shop.plan.postgres) as database:
        snapshots = PostgresSnapshots(database)
        await snapshots.save(Snapshot("Order", "o1", 1, 1, json.dumps(ADA).encode()))
        await snapshots.save(Snapshot("Basket", "b1", 1, 1, b"{}"))
    assert shop.customers() == {"ada": ADA, "bob": BOB}

    report = await shop.forget("ada")

    assert shop.customers() == {"ada": ERASED, "bob": BOB}
    assert shop.all("SELECT aggregate_type FROM snapshots") == [("Basket",)]
    assert all(form not in shop.text() for form in hexed(ADA))
    assert await shop.names(shop.keys) == [ERASED, BOB]
    assert named(report, "PostgreSQL snapshots").detail.startswith("1 removed")
    assert named(report, "PostgreSQL projection shop/customers").means is Means.REBUILT
    assert named(report, "PostgreSQL projection shop/workers").means is Means.NOTHING
    assert named(report, "store.events").means is Means.SEALED
    assert report.unprotected == ()


async def test_what_is_rebuilt_or_restored_afterwards_stays_unreadable(shop: Shop) -> None:
    await shop.forget("ada")
    await shop.restore()
    assert await shop.names(shop.keys) == [ERASED, BOB]
    await shop.build()
    assert shop.customers() == {"ada": ERASED, "bob": BOB}
    assert all(form not in shop.text() for form in hexed(ADA))


async def test_an_append_stores_ciphertext_and_gives_a_retried_command_what_can_be_read(
    shop: Shop,
) -> None:
    catalog = order_catalog(appended=True)
    codec = Codec(catalog, keys=shop.keys)
    event = order(catalog, orderId="o3", name=ADA, photo=None)
    async with Database(shop.plan.postgres) as database:
        appender = PostgresEventAppender(database, catalog, codec)
        appended = await appender.append([event], NO_EVENTS, command_id="c1")
        assert appended.events[0].payload["name"] == ADA
        assert all(form not in shop.text() for form in hexed(ADA))
        [(stored,)] = shop.all("SELECT data ->> 'name' FROM events WHERE aggregate_id = 'o3'")
        assert stored.startswith("wundr.1.")
        await shop.forget("ada")
        retried = order(catalog, orderId="o3", name=None, photo=None)
        repeat = await appender.append([retried], NO_EVENTS, command_id="c1")
        assert repeat.is_repeat
        assert repeat.events[0].payload["name"] == ERASED
        with pytest.raises(SubjectForgotten):
            await appender.append([event], NO_EVENTS, command_id="c1")


async def test_forgetting_twice_tells_of_the_first_time(shop: Shop) -> None:
    first = await shop.forget("ada")
    assert (await shop.forget("ada")).forgotten_at == first.forgotten_at


def test_the_command_needs_keys_and_names_every_place(
    working_folder: Path, kafka_bootstrap: str, shop: Shop
) -> None:
    subject = "somebody"  # No word that a digest may have in it.
    settings = {
        "WUNDR_PROVIDER": "external",
        "WUNDR_KAFKA_BOOTSTRAP": kafka_bootstrap,
        "WUNDR_POSTGRES_DSN": shop.dsn,
    }
    refused = wundr(working_folder, "store", "forget", subject, **settings)
    assert refused.returncode == 1
    assert "WUNDR_KEYS_DSN" in refused.stderr

    ended = wundr(
        working_folder,
        *("store", "forget", subject, "--settle", "0", "--json"),
        **settings,
        WUNDR_KEYS_DSN=shop.keys_dsn,
    )
    told = json.loads(ended.stdout)
    assert {place["place"] for place in told["places"]} >= {
        *("keys", "running processes", "store.events", "PostgreSQL events"),
        *("PostgreSQL snapshots", "broadcast.user"),
    }
    assert subject not in ended.stdout
    assert (ended.returncode == 0) == told["complete"]
