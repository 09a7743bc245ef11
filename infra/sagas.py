"""Where the sagas of this installation are kept."""

from __future__ import annotations

from connectors.saga_service import SagaPlan
from connectors.settings import WRITER_ROLE, PostgresSettings
from infra.keys import open_keys
from infra.settings import load_settings
from infra.stack.local import require_endpoints
from schemas.catalog import Catalog
from streams.settings import KafkaSettings


def saga_plan(client_id: str) -> SagaPlan:
    """Where this installation keeps things. Raises StackNotRunning, SettingsInvalid."""
    settings = load_settings()
    endpoints = require_endpoints(settings)
    return SagaPlan(
        kafka=KafkaSettings(bootstrap=endpoints.kafka_bootstrap, client_id=client_id),
        postgres=PostgresSettings(
            dsn=endpoints.postgres_dsn, role=WRITER_ROLE if settings.postgres_roles else None
        ),
        catalog=Catalog.load(),
        keys=open_keys(settings, endpoints),
    )
