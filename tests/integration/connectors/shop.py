"""A shop whose orders name its customers: a store on real parts, its keys in their own database."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import psycopg
from confluent_kafka import Producer

from connectors.erasure import ErasureReport
from connectors.postgres.database import Database
from connectors.postgres.event_store import PostgresEventStore
from connectors.postgres.key_database import prepare_key_database
from connectors.postgres.key_ring import PostgresKeyRing
from connectors.postgres.migrations import migrate
from connectors.projection_rebuild import Rebuild
from connectors.projection_service import projection_edges
from connectors.restore_service import RestorePlan, store_restore
from connectors.settings import PostgresSettings
from connectors.store_plan import StorePlan
from infra.erasing import forget_subject
from infra.stored_projections import find_projection
from infra.topics import topic_ids
from schemas.codec import Codec
from schemas.event import Event
from schemas.headers import event_headers
from schemas.key_cache import CachedKeyRing
from schemas.key_ring import KeyRing
from streams.memory.log import MemoryLog
from streams.memory.schemas import MemoryWriterSchemas
from streams.partitioner import partition_of
from streams.settings import KafkaSettings
from tests.integration.connectors.conftest import PARTITIONS, Archive
from tests.unit.schemas.personal_orders import order_catalog

APP = "tests.integration.connectors.personal_app"
PROJECTIONS = ("customers", "workers")
CATALOG = order_catalog()
AT_ONCE: Final = timedelta(0)


def shop_plan(bootstrap: str, dsn: str, keys: KeyRing) -> StorePlan:
    """Where a shop keeps its things, for any process."""
    return StorePlan(
        kafka=KafkaSettings(bootstrap=bootstrap, schema_wait_s=0.5),
        postgres=PostgresSettings(dsn=dsn),
        catalog=CATALOG,
        keys=CachedKeyRing(keys),
    )


@dataclass
class Shop:
    """A store that is filled from a topic, with its keys in a database of their own."""

    archive: Archive
    dsn: str
    keys_dsn: str
    keys: PostgresKeyRing

    @property
    def plan(self) -> StorePlan:
        return shop_plan(self.archive.bootstrap, self.dsn, self.keys)

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
            for name in PROJECTIONS:
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


@asynccontextmanager
async def open_shop(archive: Archive, dsn: str, *orders: Event[Any]) -> AsyncIterator[Shop]:
    """A shop with these orders, published and stored."""
    database = f"keys_{uuid.uuid4().hex}"
    keys_dsn = urlsplit(dsn)._replace(path=f"/{database}").geturl()
    settings = PostgresSettings(dsn=keys_dsn)
    await prepare_key_database(settings, PostgresSettings(dsn=dsn))
    keys = PostgresKeyRing(settings)
    made = Shop(archive=archive, dsn=dsn, keys_dsn=keys_dsn, keys=keys)
    try:
        made.publish(*orders)
        await made.restore()
        yield made
    finally:
        keys.close()
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE "{database}" WITH (FORCE)'.encode())


def hexed(text: str) -> Sequence[str]:
    """A text as the database prints it, in columns of text and of bytes."""
    return text, text.encode().hex()
