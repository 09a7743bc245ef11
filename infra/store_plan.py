"""Where this installation keeps things."""

from __future__ import annotations

from connectors.settings import PostgresSettings
from connectors.store_plan import StorePlan
from infra.keys import open_keys
from infra.settings import load_settings
from infra.stack.local import require_endpoints
from schemas.catalog import Catalog
from streams.settings import KafkaSettings


def store_plan(client_id: str, role: str | None = None) -> StorePlan:
    """The plan of a process. `role`: what it is in Postgres, its owner where that is left out.

    Raises StackNotRunning, SettingsInvalid.
    """
    settings = load_settings()
    endpoints = require_endpoints(settings)
    return StorePlan(
        kafka=KafkaSettings(bootstrap=endpoints.kafka_bootstrap, client_id=client_id),
        postgres=PostgresSettings(
            dsn=endpoints.postgres_dsn, role=role if settings.postgres_roles else None
        ),
        catalog=Catalog.load(),
        keys=open_keys(settings, endpoints),
    )
