"""Processes that forget a person, and kill themselves at a statement of Postgres.

Each is asked by a JSON object, with bootstrap, dsn, keys_dsn, subject, and the point at which it
dies, as a power cut would: before the query `die_at`, or `behind` it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from typing import Any

import psycopg

from connectors.postgres.key_ring import PostgresKeyRing
from connectors.settings import PostgresSettings
from connectors.sql import QUERIES
from infra.erasing import forget_subject
from tests.integration.connectors.forking import serve
from tests.integration.connectors.shop import AT_ONCE, shop_plan


def die_at(query: str, *, behind: bool) -> None:
    """End this process at the first statement of such a text, on whatever connection."""
    execute, execute_later = psycopg.Cursor.execute, psycopg.AsyncCursor.execute

    def point(asked: Any, *, is_done: bool) -> None:
        if asked == query and is_done is behind:
            os.kill(os.getpid(), signal.SIGKILL)

    def dying(cursor: Any, asked: Any, *given: Any, **options: Any) -> Any:
        point(asked, is_done=False)
        done = execute(cursor, asked, *given, **options)
        point(asked, is_done=True)
        return done

    async def dying_later(cursor: Any, asked: Any, *given: Any, **options: Any) -> Any:
        point(asked, is_done=False)
        done = await execute_later(cursor, asked, *given, **options)
        point(asked, is_done=True)
        return done

    psycopg.Cursor.execute = dying  # type: ignore[method-assign, assignment]  # only in this process
    psycopg.AsyncCursor.execute = dying_later  # type: ignore[method-assign, assignment]  # here, too


async def forget(asked: Mapping[str, Any]) -> None:
    """What one process does."""
    die_at(QUERIES[asked["die_at"]], behind=asked["behind"])
    keys = PostgresKeyRing(PostgresSettings(dsn=asked["keys_dsn"]))
    plan = shop_plan(asked["bootstrap"], asked["dsn"], keys)
    await forget_subject(plan, asked["subject"], AT_ONCE)


if __name__ == "__main__":
    serve(forget)
