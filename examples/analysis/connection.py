"""A bus and a store on the running stack: Kafka for publishing, PostgreSQL for appending."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from connectors.outbox import Outbox
from connectors.postgres.database import Database
from connectors.postgres.event_appender import PostgresEventAppender
from connectors.postgres.event_store import PostgresEventStore
from connectors.postgres.outbox import PostgresOutbox
from connectors.settings import PostgresSettings
from infra.settings import load_settings
from infra.stack.endpoints import Endpoints
from infra.traces import open_tracing
from schemas.catalog import Catalog
from schemas.codec import Codec
from streams.bus.kafka import KafkaBus
from streams.bus.log_bus import BusOptions
from streams.bus.port import EventBus
from streams.event_store import CommandAppender
from streams.journal import FileJournal
from streams.journalled_appender import JournalledAppender
from streams.kafka.schema_topic import open_schemas
from streams.settings import KafkaSettings

PRODUCER_LINGER_MS: Final = 20
"""Who publishes many events and waits for their receipts later shares requests among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """What an application of this installation works with."""

    catalog: Catalog
    codec: Codec
    store: PostgresEventStore
    bus: EventBus
    appender: CommandAppender
    outbox: Outbox


@asynccontextmanager
async def connect(endpoints: Endpoints, app: str, journal: Path) -> AsyncIterator[Connection]:
    """Connect an app; every event that it is promised is written to its journal.

    Leaving drains the bus; raises NotDelivered with the ids that were not acknowledged.
    """
    catalog = Catalog.load()
    codec = Codec(catalog, upcasts=True)
    kafka = KafkaSettings(
        bootstrap=endpoints.kafka_bootstrap, client_id=app, linger_ms=PRODUCER_LINGER_MS
    )
    with closing(FileJournal(journal)) as kept, open_tracing(load_settings(), app) as tracing:
        postgres = PostgresSettings(dsn=endpoints.postgres_dsn)
        async with (
            open_schemas(kafka, codec) as (schemas, _),
            Database(postgres) as database,
        ):
            store = PostgresEventStore(database, codec, schemas)
            appender = JournalledAppender(
                PostgresEventAppender(database, catalog, codec), codec, kept
            )
            options = BusOptions(journal=kept, tracing=tracing)
            bus = KafkaBus(app, kafka, catalog, store, options=options)
            try:
                yield Connection(
                    catalog=catalog,
                    codec=codec,
                    store=store,
                    bus=bus,
                    appender=appender,
                    outbox=PostgresOutbox(settings=postgres, database=database),
                )
            finally:
                await bus.close()
                await schemas.close()
