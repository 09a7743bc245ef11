"""A migrated database of one test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from connectors.postgres.database import Database
from connectors.postgres.migrations import migrate
from connectors.settings import PostgresSettings
from tests.integration.projections.stored import Store


@pytest.fixture
async def store(fresh_database: str) -> AsyncIterator[Store]:
    """An empty event store with its projections."""
    settings = PostgresSettings(dsn=fresh_database, pool_size=8)
    await migrate(settings)
    async with Database(settings) as database:
        yield Store(database)
