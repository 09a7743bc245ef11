"""A loop by hand: look every 20 ms, delete what is due, insert bytes that are ready; none decides.

No history is read, nothing is decided or encoded, and nothing tells a repeat.
"""

from __future__ import annotations

import asyncio
import time

from psycopg import AsyncConnection

from benchmarks.contract import Measurement, RunConfig
from benchmarks.pending_deadlines import DUE, fill, measurement
from connectors.postgres.database import session_options
from connectors.settings import PostgresSettings
from schemas.event import system_clock

AT_ONCE = 200
IDLE_S = 0.02
PAYLOAD = bytes(250)

FIRE = """
WITH due AS (
    DELETE FROM saga_deadlines WHERE (course, name) IN (
        SELECT course, name FROM saga_deadlines
        WHERE next_at <= now() ORDER BY next_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    ) RETURNING course, due_at
), taken AS (
    INSERT INTO saga_steps (course, step, cause_id, framed)
    SELECT course, 2, 'passed', %(payload)s FROM due
), sent AS (
    INSERT INTO outbox (
        shard, id, aggregatetype, aggregateid, type, payload, topic, key, traceparent
    )
    SELECT 0, gen_random_uuid()::text, '', '', 'setup.session.failed', %(payload)s, 't', 'k', ''
    FROM due, generate_series(1, 2)
)
SELECT due_at FROM due
"""


async def measure(dsn: str) -> Measurement:
    """Delete and insert until everything that comes due is done."""
    late_ms: list[float] = []
    values = {"limit": AT_ONCE, "payload": PAYLOAD}
    connection = await AsyncConnection.connect(
        dsn, autocommit=True, options=session_options(PostgresSettings(dsn=dsn))
    )
    async with connection:
        began = time.perf_counter(), time.process_time()
        while len(late_ms) < DUE:
            found = await (await connection.execute(FIRE, values)).fetchall()
            now = system_clock()
            late_ms += [(now - due_at).total_seconds() * 1_000 for (due_at,) in found]
            if len(found) < AT_ONCE:
                await asyncio.sleep(IDLE_S)
    return measurement(dsn, late_ms, began)


if __name__ == "__main__":
    config = RunConfig.from_arguments()
    fill(config.options["dsn"])
    asyncio.run(measure(config.options["dsn"])).print()
