"""What a handler emits again after a crash is counted once, however much it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.event import Event
from schemas.events.domain import NotificationSent
from streams.app import App
from streams.context import Context
from streams.emission import EMISSION, Emission
from streams.projecting import TableBatch
from streams.projection import Entry, Projection, State
from streams.records import Origin, RawRecord
from streams.table import MemoryTable
from tests.unit.streams.bench import Bench
from tests.unit.streams.tabling import event, record

MakeEvent = Callable[..., Event[Any]]
WINDOW_IDS = 256
REPEATS = 3 * WINDOW_IDS


def count(state: State, event: Event[Any]) -> State:
    """Count events."""
    return {"count": state.get("count", 0) + 1}


COUNTED = Projection(name="counted", patterns=("*",), fold=count, initial=dict)


def marked(emission: Emission) -> tuple[str, bytes]:
    return EMISSION, emission.encode()


def counted(table: MemoryTable, key: str) -> object:
    stored = table.get(key)
    return 0 if stored is None else Entry.decode(stored).state.get("count", 0)


@pytest.mark.parametrize(
    "emission",
    [
        Emission("team", "notify", Origin("events.domain.high", 3, 77), 2),
        Emission("team", "a/b", Origin("t", 0, 0), 0),
    ],
)
def test_a_place_is_read_as_it_was_written(emission: Emission) -> None:
    assert Emission.decode(emission.encode()) == emission


@pytest.mark.parametrize("value", [b"", b"t/0/1/2/app", b"t/x/1/2/app/handler", b"\xff"])
def test_a_header_that_is_no_place_is_refused(value: bytes) -> None:
    with pytest.raises(ValueError, match=r"unpack|invalid literal|decode"):
        Emission.decode(value)


async def test_handlers_that_run_again_over_many_records_change_no_total(
    bench: Bench, started: MakeEvent
) -> None:
    emitting, counting = App("emitting"), App("counting")

    @emitting.on("analysis.started")
    async def notify(event: Event[Any], context: Context) -> None:
        for number in range(2):
            notification = NotificationSent(
                notification_id=str(number), project_id="p", user_id=None, subject="s"
            )
            await context.publish(notification, aggregate_id="always this")

    counting.projection("counted", on=("notification.sent",), initial=dict)(count)
    causes = [bench.record(started(), offset) for offset in range(REPEATS)]
    emitter = bench.processor(emitting)
    await emitter.process(causes[0].source, causes)
    await emitter.process(causes[0].source, causes)
    await emitter.process(causes[0].source, [bench.record(started(), REPEATS)])
    sent = bench.log.topic("events.domain.normal")
    table = MemoryTable("changelog", window_ids=WINDOW_IDS)
    await bench.processor(counting, {"counted": table}).process(sent[0].source, sent)
    assert len(sent) == 2 * (2 * REPEATS + 1)
    assert counted(table, (sent[0].key or b"").decode()) == 2 * (REPEATS + 1)


async def test_an_emitted_event_carries_where_its_cause_was_read(
    bench: Bench, started: MakeEvent
) -> None:
    app = App("team")

    @app.on("analysis.started")
    async def notify(event: Event[Any], context: Context) -> None:
        await context.publish(
            NotificationSent(notification_id="n", project_id="p", user_id=None, subject="s")
        )

    cause = bench.record(started(), offset=9, partition=2)
    await bench.processor(app).process(cause.source, [cause])
    (sent,) = bench.log.topic("events.domain.normal")
    place = Emission("team", "notify", Origin(cause.topic, 2, 9), 0)
    assert sent.header(EMISSION) == place.encode()


async def test_a_place_that_cannot_be_read_makes_a_dead_letter(
    bench: Bench, started: MakeEvent
) -> None:
    app = App("team")
    app.projection("counted", on=("*",), initial=dict)(count)
    good = bench.record(started())
    bad = RawRecord(
        topic=good.topic,
        partition=0,
        offset=0,
        timestamp_ms=0,
        key=good.key,
        value=good.value,
        headers=(*good.headers, (EMISSION, b"nonsense")),
    )
    await bench.processor(
        app, {"counted": MemoryTable("changelog", window_ids=WINDOW_IDS)}
    ).process(bad.source, [bad])
    assert len(bench.log.topic("dlq.team")) == 1


runs = st.lists(st.tuples(st.integers(0, REPEATS), st.integers(0, REPEATS)), min_size=1, max_size=4)


@settings(max_examples=40, deadline=None)
@given(high=runs, low=runs, batch=st.integers(1, 500), order=st.randoms(use_true_random=False))
def test_any_number_of_repeats_from_several_causes_is_counted_once(
    high: list[tuple[int, int]], low: list[tuple[int, int]], batch: int, order: Any
) -> None:
    streams = {topic: _emitted(topic, runs) for topic, runs in (("high", high), ("low", low))}
    merged: list[Emission] = []
    while any(streams.values()):
        topic = order.choice([topic for topic, left in streams.items() if left])
        taken = order.randint(1, len(streams[topic]))
        merged += streams[topic][:taken]
        del streams[topic][:taken]
    table = MemoryTable("changelog", window_ids=WINDOW_IDS)
    for first in range(0, len(merged), batch):
        changes = TableBatch({"counted": table}, 0)
        for offset, emission in enumerate(merged[first : first + batch], first):
            emitted = event(emission.place * 2 + (emission.cause.topic == "high"))
            changes.fold(COUNTED, record(offset, b"k", "t", marked(emission)), emitted)
        changes.store()
    assert counted(table, "k") == len(set(merged))


def _emitted(topic: str, runs: list[tuple[int, int]]) -> list[Emission]:
    """What a handler has written after these runs; each begins at or below where the last ended."""
    written: list[Emission] = []
    reached = 0
    for back, forward in runs:
        start = max(0, reached - back)
        for cause in range(start, start + forward):
            written += [
                Emission("team", "notify", Origin(topic, 0, cause), ordinal)
                for ordinal in range(1 + cause % 2)
            ]
        reached = max(reached, start + forward)
    return written


def test_a_stream_is_followed_in_each_partition_that_it_is_written_to() -> None:
    table = MemoryTable("changelog", window_ids=WINDOW_IDS)
    changes = TableBatch({"counted": table}, 0)
    for topic, causes in (("events.domain.high", (0, 2)), ("events.domain.low", (1, 3))):
        for offset, cause in enumerate(causes):
            emission = Emission("team", "notify", Origin("causes", 0, cause), 0)
            changes.fold(COUNTED, record(offset, b"k", topic, marked(emission)), event(cause))
    changes.store()
    assert counted(table, "k") == 4
