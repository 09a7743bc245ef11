"""Where an installation keeps what is read and folded."""

from dataclasses import dataclass

from connectors.settings import PostgresSettings
from schemas.catalog import Catalog
from schemas.key_ring import KeyRing
from streams.settings import KafkaSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class StorePlan:
    """Which Kafka, which Postgres, which schemas."""

    kafka: KafkaSettings
    postgres: PostgresSettings
    catalog: Catalog
    keys: KeyRing | None = None
