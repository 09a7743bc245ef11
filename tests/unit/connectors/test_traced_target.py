"""A stored batch is one span, linked to what published its events."""

from __future__ import annotations

import pytest

from connectors.event_row import event_row
from connectors.sink_target import Batch, PlacedRow, Position
from connectors.traced_target import traced_target
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import EventFactory
from schemas.headers import traceparent
from tests.unit.connectors.memory_target import MemoryTarget
from tests.unit.infra.kept_traces import Traces

CATALOG = Catalog.load()
CODEC = Codec(CATALOG)
EVENTS = [
    EventFactory(CATALOG, source="tests").create_from_mapping(
        "system.worker.started", {"process": "tests", "host": "local", "pid": number}
    )
    for number in range(3)
]


async def batch_for(target: MemoryTarget) -> Batch:
    claims = await target.claim("id", [0])
    rows = [
        PlacedRow(Position(0, offset), event_row(event, CODEC.encode(event), with_json=False))
        for offset, event in enumerate(EVENTS)
    ]
    return Batch(rows=rows, claims=claims, next={0: len(rows)})


async def test_the_span_of_a_batch_links_to_the_publish_of_each_event() -> None:
    traces, target = Traces(), MemoryTarget()
    stored = await traced_target(target, traces.tracing).store("id", await batch_for(target))
    assert stored.new == len(EVENTS)
    span = traces.one("store events")
    assert [f"00-{it.context.trace_id:032x}-{it.context.span_id:016x}-01" for it in span.links] == [
        traceparent(event) for event in EVENTS
    ]


async def test_a_batch_that_was_not_stored_says_why() -> None:
    traces, target = Traces(), MemoryTarget()
    batch = await batch_for(target)
    await target.claim("id", [0])
    traced = traced_target(target, traces.tracing)
    with pytest.raises(Exception, match="no longer"):
        await traced.store("id", batch)
    assert not traces.one("store events").status.is_ok


def test_without_tracing_the_target_is_not_wrapped() -> None:
    target = MemoryTarget()
    assert traced_target(target, None) is target
