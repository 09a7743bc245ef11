"""Records that anybody could write: none of them stops a worker, all the others are counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from schemas.event import Event
from streams.app import App
from streams.emission import EMISSION
from streams.projection import Entry
from streams.reading import KNOWN_TYPES
from streams.records import ORIGIN, RawRecord
from streams.table import MemoryTable
from tests.unit.streams.bench import Bench

MakeEvent = Callable[..., Event[Any]]


def counting_app(**options: Any) -> App:
    app = App("team")

    @app.projection("counted", on=("analysis.*",), initial=dict, **options)
    def count(state: dict[str, Any], event: Event[Any]) -> dict[str, Any]:
        return {"events": state.get("events", 0) + 1}

    return app


async def counted(bench: Bench, app: App, *records: RawRecord) -> int:
    """How many of the records the table holds, given one after the other."""
    table = MemoryTable("changelog")
    processor = bench.processor(app, {"counted": table})
    for record in records:
        await processor.process(record.source, [record])
    return sum(Entry.decode(value).state["events"] for _, value in table.items())


@pytest.mark.parametrize(
    "place",
    [
        b"t/0/99999999999999999999/0/app/h",
        b"t/0/1/99999999999999999999/app/h",
        b"t/0/-1/0/app/h",
        b"nonsense",
        b"\xff",
    ],
)
async def test_a_foreign_place_of_an_emission_is_a_dead_letter(
    bench: Bench, started: MakeEvent, place: bytes
) -> None:
    bad, good = bench.record(started("a"), 1), bench.record(started("b"), 2)
    bad = bad._replace(headers=(*bad.headers, (EMISSION, place)))
    assert await counted(bench, counting_app(), bad, good) == 1
    assert len(bench.log.topic("dlq.team")) == 1


async def test_a_foreign_origin_on_a_repartition_topic_is_a_dead_letter(
    bench: Bench, started: MakeEvent
) -> None:
    bad = bench.record(started("a"), 1)._replace(topic="repartition.team.counted")
    good = bad._replace(
        offset=2, key=b"other", headers=(*bad.headers, (ORIGIN, b"events.domain.high/0/7"))
    )
    bad = bad._replace(headers=(*bad.headers, (ORIGIN, b"t/0/99999999999999999999")))
    app = counting_app(key=lambda event: "k")
    assert await counted(bench, app, bad, good) == 1
    assert len(bench.log.topic("dlq.team")) == 1


@pytest.mark.parametrize("key", [b"\xffids/0", b"\xff"])
async def test_a_key_that_is_no_text_is_a_dead_letter(
    bench: Bench, started: MakeEvent, key: bytes
) -> None:
    first, last = bench.record(started("a"), 1), bench.record(started("c"), 3)
    bad = bench.record(started("b"), 2)._replace(key=key)
    assert await counted(bench, counting_app(), first, bad, last) == 2
    assert len(bench.log.topic("dlq.team")) == 1


async def test_one_event_under_two_keys_whose_states_cannot_be_stored_is_two_dead_letters(
    bench: Bench, started: MakeEvent
) -> None:
    app = App("team")
    app.projection("counted", on=("analysis.*",), initial=dict)(lambda state, event: {"n": {1}})
    event = started("a")
    records = [bench.record(event, 1), bench.record(event, 2)._replace(key=b"other")]
    processor = bench.processor(app, {"counted": MemoryTable("changelog")})
    await processor.process(records[0].source, records)
    assert len(bench.log.topic("dlq.team")) == 2


async def test_types_that_others_invent_take_a_bounded_room(
    bench: Bench, started: MakeEvent
) -> None:
    processor = bench.processor(counting_app(), {"counted": MemoryTable("changelog")})
    record = bench.record(started("a"), 1)._replace(headers=())
    value = record.value or b""
    for number in range(KNOWN_TYPES + 50):
        invented = value.replace(b"analysis.started", b"analysis.%07d" % number)
        await processor.process(record.source, [record._replace(offset=number, value=invented)])
    assert len(processor._takers.known) <= KNOWN_TYPES


@pytest.mark.parametrize("origin", [b"nonsense", b"t/x/y", b"\xff", b""])
async def test_an_origin_that_nobody_can_read_makes_a_dead_letter_from_where_it_stands(
    bench: Bench, started: MakeEvent, origin: bytes
) -> None:
    bad, good = bench.record(started("a"), 1), bench.record(started("b"), 2)
    bad = bad._replace(value=b"no event", headers=((ORIGIN, origin),))
    assert await counted(bench, counting_app(), bad, good) == 1
    (letter,) = bench.log.topic("dlq.team")
    assert letter.header(ORIGIN) == b"events.domain.high/0/1"
