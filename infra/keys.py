"""Where this installation keeps the keys of personal data: never with the event store."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from connectors.postgres.key_database import beside, migrate_keys, prepare_key_database
from connectors.postgres.key_ring import PostgresKeyRing
from connectors.settings import PostgresSettings
from infra.settings import ProviderName, Settings
from infra.stack.endpoints import Endpoints
from schemas.key_cache import CachedKeyRing
from schemas.key_ring import KeyRing

KEY_DATABASE: Final = "wundr_keys"
"""Database of the keys on the server of a stack of this folder."""

_ANSWER_WITHIN_S: Final = 2.0
"""All that a process does waits for a key: rather an outage than a long wait."""


def key_settings(settings: Settings, endpoints: Endpoints) -> PostgresSettings | None:
    """The database of keys; None on servers of others, as long as nobody names one."""
    if settings.keys_dsn is not None:
        dsn = settings.keys_dsn.get_secret_value()
    elif endpoints.provider == ProviderName.EXTERNAL:
        return None
    else:
        dsn = beside(endpoints.postgres_dsn, KEY_DATABASE)
    return PostgresSettings(
        dsn=dsn, acquire_timeout_s=_ANSWER_WITHIN_S, statement_timeout_s=_ANSWER_WITHIN_S
    )


def open_keys(settings: Settings, endpoints: Endpoints) -> KeyRing | None:
    """What a process of this installation seals and opens personal data with.

    Connects with the first key that is asked for; None where no database of keys is named.
    """
    found = key_settings(settings, endpoints)
    return None if found is None else CachedKeyRing(PostgresKeyRing(found))


def prepare_keys(settings: Settings, endpoints: Endpoints) -> None:
    """Bring the database of keys to this release; that of a stack of this folder is made, too.

    Raises DatabaseUnavailable or DatabaseRefused.
    """
    found = key_settings(settings, endpoints)
    if found is None:
        return
    if settings.keys_dsn is None:
        preparing = prepare_key_database(found, PostgresSettings(dsn=endpoints.postgres_dsn))
    else:
        preparing = migrate_keys(found)
    # In a thread of its own: who starts a stack may be inside a loop.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, preparing).result()
