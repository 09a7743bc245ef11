"""Where commands ask about events: the stack of this folder, and the apps that are known."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.settings import PostgresSettings
from infra.event_course import CoursePlan
from infra.known_apps import known_apps
from infra.settings import load_settings
from infra.stack.local import absolute, require_endpoints
from schemas.catalog import Catalog
from streams.settings import KafkaSettings


def course_plan(paths: Sequence[str]) -> CoursePlan:
    """The plan for apps by their import paths. Raises StackNotRunning, AppNotFound."""
    settings = load_settings()
    endpoints = require_endpoints(settings)
    return CoursePlan(
        kafka=KafkaSettings(
            bootstrap=endpoints.kafka_bootstrap,
            partitions=settings.partitions,
            client_id="wundr-events",
        ),
        postgres=PostgresSettings(dsn=endpoints.postgres_dsn),
        catalog=Catalog.load(),
        apps=known_apps(paths, absolute(settings.state_dir)),
    )
