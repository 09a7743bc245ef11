"""What benches of the event store read: archived events in `store.events`, and empty databases."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from benchmarks.broker import Broker, NewRecord
from benchmarks.stamps import Stamp, repositories_stamp
from benchmarks.workload import PARTITIONS
from connectors.postgres.migrations import migrate
from connectors.settings import PostgresSettings
from schemas.catalog import Catalog
from schemas.headers import CE_ID
from schemas.topics import STORE_EVENTS, platform_topics
from streams.partitioner import partition_of
from streams.platform.archive import archived
from streams.platform.processor import PLATFORM_GROUP
from streams.records import RawRecord

AGGREGATES: Final = 1_000
EVENTS_TABLE: Final = "events"


class StoredTopic:
    """Writes events as their producers do, and as the platform's worker copies them."""

    def __init__(self, bootstrap: str) -> None:
        self._catalog = Catalog.load()
        self._stamp: Stamp = repositories_stamp(self._catalog)
        self.broker = Broker(bootstrap)

    def write(self, events: int) -> None:
        """Make both topics anew, with these events."""
        self.broker.remove([STORE_EVENTS, self._stamp.topic])
        self.broker.make(platform_topics(self._catalog, PARTITIONS))
        following = [0] * PARTITIONS
        with (
            self.broker.writer(self._stamp.topic) as published,
            self.broker.writer(STORE_EVENTS) as stored,
        ):
            for number in range(events):
                key, value, headers = self._stamp.record(number, number % AGGREGATES)
                partition = partition_of(key, PARTITIONS)
                published.write(NewRecord(partition, key, value, tuple(headers)))
                source = RawRecord(
                    topic=self._stamp.topic,
                    partition=partition,
                    offset=following[partition],
                    timestamp_ms=0,
                    key=key,
                    value=value,
                    headers=tuple(headers),
                )
                following[partition] += 1
                copy = archived(source, dict(headers)[CE_ID].decode(), None)
                stored.write(NewRecord(partition, copy.key or b"", value, copy.headers))
        self.broker.bounds(STORE_EVENTS, PARTITIONS)
        self.broker.place_group(PLATFORM_GROUP, self._stamp.topic, following)


@contextmanager
def migrated_database(server: str) -> Iterator[str]:
    """The address of a new database with the tables of this release, dropped behind the block."""
    name = f"bench_{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        dsn = urlsplit(server)._replace(path=f"/{name}").geturl()
        asyncio.run(migrate(PostgresSettings(dsn=dsn)))
        yield dsn
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            drop = sql.SQL("DROP DATABASE {} WITH (FORCE)")
            connection.execute(drop.format(sql.Identifier(name)))


def count_rows(dsn: str, table: str = EVENTS_TABLE) -> int:
    """How many rows a table of a database holds."""
    count = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
    with psycopg.connect(dsn) as connection:
        row = connection.execute(count).fetchone()
    return int(row[0]) if row else 0
