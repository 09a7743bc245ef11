"""Puts an outbox relay together from real parts: Postgres on one side, Kafka on the other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from connectors.outbox_relay import OutboxRelay, RelayEdges, RelaySettings
from connectors.postgres.database import Database
from connectors.postgres.outbox import SILENT_S, PostgresOutbox
from connectors.relay_status import StepListener
from connectors.settings import PostgresSettings
from schemas.catalog import Catalog
from schemas.codec import Codec
from streams.errors import NotDelivered
from streams.kafka.schema_topic import KafkaWriterSchemas
from streams.kafka.sender import KafkaSender
from streams.settings import KafkaSettings

_log = structlog.get_logger(__name__)

_CLOSE_S: Final = 5.0
"""How long the sender may drain: what it does not deliver stays in the outbox."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayPlan:
    """Which Postgres, which Kafka, and how. `silent_s`: when a silent owner counts as frozen."""

    kafka: KafkaSettings
    postgres: PostgresSettings
    catalog: Catalog
    relay: RelaySettings = field(default_factory=RelaySettings)
    silent_s: float = SILENT_S


@asynccontextmanager
async def outbox_relay(
    plan: RelayPlan, on_step: StepListener = lambda _step: None
) -> AsyncIterator[OutboxRelay]:
    """A relay that is ready to run; closes its connections behind the block."""
    # A record that were given up after a time could arrive behind later ones of its aggregate.
    kafka = replace(plan.kafka, acknowledge_timeout_s=None)
    sender = KafkaSender(kafka)
    try:
        async with Database(plan.postgres) as database:
            edges = RelayEdges(
                outbox=PostgresOutbox(
                    settings=plan.postgres, database=database, silent_s=plan.silent_s
                ),
                sender=sender,
                schemas=KafkaWriterSchemas(kafka, sender, Codec(plan.catalog)),
                counted=(sender,),
            )
            yield OutboxRelay(edges, plan.relay, on_step)
    finally:
        await _close(sender)


async def _close(sender: KafkaSender) -> None:
    try:
        async with asyncio.timeout(_CLOSE_S):
            await sender.close()
    except (NotDelivered, TimeoutError):
        _log.warning("Kafka did not acknowledge everything; it stays in the outbox")
