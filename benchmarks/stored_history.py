"""An event store of a known content in the bench's PostgreSQL: written once, found again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, Final
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from benchmarks.samples import Producers, file_events
from connectors.event_row import event_row
from connectors.postgres.database import Database
from connectors.postgres.migrations import migrate
from connectors.postgres.sink_target import PostgresSinkTarget
from connectors.settings import PostgresSettings
from connectors.sink_target import Batch, PlacedRow, Position
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event
from streams.partitioner import partition_of

EVENTS: Final = 1_000_000
AGGREGATES: Final = 1_000
PARTITIONS: Final = 4
TOPIC_ID: Final = "bench"
STORED_AT_ONCE: Final = 5_000


def own_database(server_dsn: str, name: str) -> str:
    """The address of a database of this name, which is made where it is missing."""
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        known = connection.execute("SELECT FROM pg_database WHERE datname = %s", (name,))
        if known.fetchone() is None:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    return urlsplit(server_dsn)._replace(path=f"/{name}").geturl()


async def fill(dsn: str, events: int, say: Callable[[str], None]) -> None:
    """Events of the reference application, as a sink stores them; nothing when they are there."""
    settings = PostgresSettings(dsn=dsn)
    await migrate(settings)
    async with Database(settings) as database:
        async with database.transaction() as connection:
            found = await connection.execute("SELECT coalesce(sum(next), 0) FROM sink_offsets")
            if await found.fetchone() == (events,):
                return
        say(f"storing {events:,} events (once)")
        target, codec = PostgresSinkTarget(database), Codec(Catalog.load())
        made = islice(file_events(Producers(Catalog.load()), AGGREGATES), events)
        following = dict.fromkeys(range(PARTITIONS), 0)
        while batch := list(islice(made, STORED_AT_ONCE)):
            claims = await target.claim(TOPIC_ID, range(PARTITIONS))
            rows = _placed(batch, codec, following)
            await target.store(TOPIC_ID, Batch(rows=rows, claims=claims, next=dict(following)))
        async with database.transaction() as connection:
            await connection.execute("ANALYZE")


def _placed(
    events: Sequence[Event[Any]], codec: Codec, following: dict[int, int]
) -> list[PlacedRow]:
    placed = []
    for event in events:
        framed = codec.encode(event)
        partition = partition_of(event.key.encode(), PARTITIONS)
        row = event_row(codec.view(framed), framed, with_json=False)
        placed.append(PlacedRow(position=Position(partition, following[partition]), row=row))
        following[partition] += 1
    return placed
