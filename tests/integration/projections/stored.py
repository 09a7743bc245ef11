"""An event store that is filled without Kafka: rows and positions as a sink writes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from connectors.event_row import event_row
from connectors.postgres.database import Database
from connectors.postgres.history import PostgresHistory
from connectors.postgres.projection_store import PostgresProjectionStore
from connectors.postgres.sink_target import PostgresSinkTarget
from connectors.sink_target import Batch, PlacedRow, Position
from connectors.version_fold import ProjectionEdges
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event, EventFactory
from streams.memory.log import MemoryLog
from streams.memory.schemas import MemoryWriterSchemas
from streams.partitioner import partition_of
from streams.projection import KeptIn, Projection, State

CATALOG = Catalog.load()
CODEC = Codec(CATALOG)
SCHEMAS = MemoryWriterSchemas(MemoryLog(), CODEC, wait_s=0)
PARTITIONS = 4
TOPIC_ID = "kafka-1"


class Store:
    """What the tests put in and the projections read."""

    def __init__(self, database: Database, codec: Codec = CODEC) -> None:
        self.database = database
        self._codec = codec
        self.edges = ProjectionEdges(
            history=PostgresHistory(database, codec, SCHEMAS),
            store=PostgresProjectionStore(database, lease_s=2.0),
        )
        self._target = PostgresSinkTarget(database)
        self._next: dict[int, int] = dict.fromkeys(range(PARTITIONS), 0)

    async def put(self, events: Sequence[Event[Any]]) -> None:
        """Store events behind those that are there, each in the partition of its key."""
        claims = await self._target.claim(TOPIC_ID, range(PARTITIONS))
        rows = []
        for event in events:
            framed = self._codec.encode(event)
            row = event_row(self._codec.view(framed), framed, with_json=False)
            partition = partition_of(event.key.encode(), PARTITIONS)
            rows.append(PlacedRow(position=Position(partition, self._next[partition]), row=row))
            self._next[partition] += 1
        await self._target.store(TOPIC_ID, Batch(rows=rows, claims=claims, next=dict(self._next)))

    async def rows_of(self, version_id: int) -> dict[str, State]:
        """The states of a version by key."""
        async with self.database.transaction() as connection:
            found = await connection.execute(
                "SELECT key, state FROM projection_rows WHERE version_id = %s", (version_id,)
            )
            return dict(await found.fetchall())


def files(count: int, first: int = 0, aggregates: int = 50) -> list[Event[Any]]:
    """Events of some files in two projects, told apart by their line counts."""
    factory = EventFactory(CATALOG, source="tests")
    return [
        factory.create_from_mapping(
            "analysis.file.processed",
            {
                "analysisId": "a",
                "projectId": f"p{number % 2}",
                "path": f"f{number % aggregates}.py",
                "lines": number,
                "functions": 0,
                "classes": 0,
                "error": None,
                "imports": 0,
                "complexity": None,
            },
            aggregate_id=f"f{number % aggregates}.py",
        )
        for number in range(first, first + count)
    ]


def total(state: State, event: Event[Any]) -> State:
    """How many files, and how many lines; a negative count cannot be folded."""
    if event.data.lines == POISON:
        raise ValueError("cannot be folded")
    return {
        "files": state.get("files", 0) + 1,
        "lines": state.get("lines", 0) + event.data.lines,
    }


POISON = 666_666

PER_PROJECT = Projection(
    name="per-project",
    patterns=("analysis.*",),
    fold=total,
    initial=dict,
    key=lambda event: str(event.data.project_id),
    kept_in=KeptIn.POSTGRES,
)

PER_FILE = Projection(
    name="per-file",
    patterns=("analysis.file.processed",),
    fold=total,
    initial=dict,
    kept_in=KeptIn.POSTGRES,
)


def folded(projection: Projection, events: Sequence[Event[Any]]) -> dict[str, State]:
    """What a projection is to hold: the plain fold, each event once."""
    states: dict[str, State] = {}
    for event in {event.id: event for event in events}.values():
        key = projection.key_of(event)
        states[key] = projection.fold(states.get(key) or projection.initial(), event)
    return states
