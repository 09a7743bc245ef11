"""What the bench of histories reads: a million stored events, one aggregate with many versions."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from connectors.event_row import event_row
from connectors.postgres.database import Database
from connectors.postgres.migrations import migrate
from connectors.postgres.sink_target import PostgresSinkTarget
from connectors.settings import PostgresSettings
from connectors.sink_target import Batch, Claim, PlacedRow, Position
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event, EventFactory
from schemas.events.domain import AnalysisFileProcessed
from streams.decider import Decider
from streams.snapshot import SnapshotForm

EVENTS: Final = 1_000_000
VERSIONS: Final = 10_000
EVERY: Final = 100
"""Events between two snapshots."""

BEHIND: Final = EVERY - 1
"""Events behind the snapshot: as many as there can be before the next one is taken."""

LOADS: Final = 300
AGGREGATE_TYPE: Final = "SourceFile"
AGGREGATE_ID: Final = "large.py"
TOPIC_ID: Final = "bench"

_ROWS: Final = 2_000
_FILES: Final = 20_000
_FIRST: Final = datetime(2026, 1, 1, tzinfo=UTC)


def evolve(state: dict[str, int], event: Event[Any]) -> dict[str, int]:
    """Count the events and sum up a field of their data."""
    return {"events": state["events"] + 1, "lines": state["lines"] + event.data.lines}


COUNTED: Final = Decider[None, dict[str, int]](
    aggregate_type=AGGREGATE_TYPE,
    initial=lambda: {"events": 0, "lines": 0},
    decide=lambda _command, _state: (),
    evolve=evolve,
    snapshots=SnapshotForm(schema_version=1, dump=lambda state: state, load=dict),
)


def resident_memory() -> int:
    """What this process holds now, bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the system does not say how much memory this process holds")


def events(catalog: Catalog) -> Iterator[Event[Any]]:
    """Three events share each millisecond; the large aggregate is spread over all of them."""
    ticks = iter(range(EVENTS))
    factory = EventFactory(
        catalog, "bench", lambda: _FIRST + timedelta(milliseconds=next(ticks) // 3)
    )
    spread = EVENTS // VERSIONS
    for number in range(EVENTS):
        version, is_filler = divmod(number, spread)
        path = f"f{number % _FILES}.py" if is_filler else AGGREGATE_ID
        event = factory.create(
            AnalysisFileProcessed(
                analysis_id="a", project_id="p", path=path, lines=number, functions=3, classes=1
            ),
            aggregate_id=path,
            correlation_id=f"run-{number % 500}",
        )
        if not is_filler:
            assert event.aggregate is not None
            aggregate = event.aggregate._replace(version=version + 1)
            event = Event(event.envelope._replace(aggregate=aggregate), event.data)
        yield event


def fill(dsn: str) -> str:
    """A database with all of it, as the sink stores it. Returns its DSN."""
    return asyncio.run(_fill(dsn))


async def _fill(server: str) -> str:
    name = f"history_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    dsn = urlsplit(server)._replace(path=f"/{name}").geturl()
    settings = PostgresSettings(dsn=dsn)
    await migrate(settings)
    catalog = Catalog.load()
    async with Database(settings) as database:
        await _store(PostgresSinkTarget(database), Codec(catalog), events(catalog))
    with psycopg.connect(dsn, autocommit=True) as connection:
        # Else the first run writes the marks that whoever reads a row first leaves on its page.
        connection.execute("VACUUM (ANALYZE) events")
    return dsn


async def _store(target: PostgresSinkTarget, codec: Codec, stored: Iterable[Event[Any]]) -> None:
    (claim,) = (await target.claim(TOPIC_ID, [0])).values()
    left = iter(stored)
    while found := list(islice(left, _ROWS)):
        rows = []
        for offset, event in enumerate(found, claim.next):
            framed = codec.encode(event)
            row = event_row(event, framed, with_json=False)
            rows.append(PlacedRow(position=Position(0, offset), row=row))
        end = claim.next + len(rows)
        await target.store(TOPIC_ID, Batch(rows=rows, claims={0: claim}, next={0: end}))
        claim = Claim(next=end, epoch=claim.epoch)
