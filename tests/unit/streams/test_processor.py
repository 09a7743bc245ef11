"""What the inner call does with records: handlers, emitted events, dead letters, tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from schemas.event import Event
from schemas.events.domain import NotificationSent
from schemas.framing import frame
from streams.app import App
from streams.context import Context
from streams.errors import BrokerUnavailable, HandlerReturned
from streams.records import RawRecord
from tests.unit.streams.bench import Bench

MakeEvent = Callable[..., Event[Any]]


def notification(number: str) -> NotificationSent:
    return NotificationSent(
        notification_id=number, project_id="p1", user_id=None, subject="started"
    )


def letters(bench: Bench) -> list[RawRecord]:
    return bench.log.topic("dlq.team")


def emitted(bench: Bench) -> list[Event[Any]]:
    return [
        bench.codec.view(record.value or b"") for record in bench.log.topic("events.domain.normal")
    ]


async def test_handlers_see_wanted_events_in_order_of_offset_and_of_handler(
    bench: Bench, started: MakeEvent
) -> None:
    app = App("team")
    seen: list[Any] = []

    @app.on("analysis.*", order=2)
    async def second(event: Event[Any], context: Context) -> None:
        seen.append(("second", event.data.analysis_id))

    @app.on("analysis.started", order=1)
    async def first(event: Event[Any], context: Context) -> None:
        seen.append(("first", event.data.analysis_id))

    records = [bench.record(started(name), offset) for offset, name in enumerate("ab")]
    await bench.processor(app).process(records[0].source, records)
    assert seen == [("first", "a"), ("second", "a"), ("first", "b"), ("second", "b")]


async def test_a_record_of_an_unwanted_type_is_not_even_looked_at(
    bench: Bench, started: MakeEvent
) -> None:
    app = App("team")

    @app.on("system.*")
    async def never(event: Event[Any], context: Context) -> None:
        raise AssertionError(event)

    wanted = bench.record(started())
    broken = RawRecord(
        topic=wanted.topic,
        partition=0,
        offset=0,
        timestamp_ms=0,
        key=None,
        value=b"rubbish",
        headers=wanted.headers,
    )
    await bench.processor(app).process(broken.source, [broken])
    assert letters(bench) == []


async def test_a_handler_may_decline_an_event(bench: Bench, started: MakeEvent) -> None:
    app = App("team")
    seen: list[Any] = []

    @app.on("analysis.*", can_handle=lambda event: bool(event.data.analysis_id == "b"))
    async def only_b(event: Event[Any], context: Context) -> None:
        seen.append(event.data.analysis_id)

    records = [bench.record(started(name), offset) for offset, name in enumerate("abc")]
    await bench.processor(app).process(records[0].source, records)
    assert seen == ["b"]
    assert letters(bench) == []


async def test_emitted_events_carry_cause_and_correlation_and_are_equal_after_a_re_run(
    bench: Bench, started: MakeEvent
) -> None:
    app = App("team")

    @app.on("analysis.started")
    async def notify(event: Event[Any], context: Context) -> None:
        await context.publish(notification("n1"), aggregate_id="n1")
        await context.publish(notification("n2"), aggregate_id="n2")

    cause = started(correlation_id="c7")
    record = bench.record(cause)
    await bench.processor(app).process(record.source, [record])
    first = {event.id: bench.codec.encode(event) for event in emitted(bench)}
    await bench.processor(app).process(record.source, [record])
    again = emitted(bench)
    assert len(first) == 2
    assert len(again) == 4
    assert {event.id: bench.codec.encode(event) for event in again} == first
    assert {(event.causation_id, event.correlation_id) for event in again} == {(cause.id, "c7")}


async def test_a_try_that_fails_emits_nothing(bench: Bench, started: MakeEvent) -> None:
    app = App("team")
    tries: list[int] = []

    @app.on("analysis.started")
    async def notify(event: Event[Any], context: Context) -> None:
        tries.append(1)
        await context.publish(notification("n1"), aggregate_id="n1")
        if len(tries) < 3:
            raise ValueError("not yet")

    record = bench.record(started())
    await bench.processor(app).process(record.source, [record])
    await bench.redo()
    assert len(tries) == 3
    assert len(emitted(bench)) == 1
    assert letters(bench) == []


async def test_after_three_tries_the_raw_bytes_go_to_the_dead_letters_and_work_goes_on(
    bench: Bench, started: MakeEvent
) -> None:
    app = App("team")
    seen: list[Any] = []

    @app.on("analysis.started")
    async def fragile(event: Event[Any], context: Context) -> None:
        if event.data.analysis_id == "bad":
            raise KeyError("gone")
        seen.append(event.data.analysis_id)

    records = [bench.record(started(name), at) for at, name in enumerate(("bad", "good"))]
    await bench.processor(app).process(records[0].source, records)
    assert seen == ["good"]
    await bench.redo()
    (letter,) = letters(bench)
    headers = dict(letter.headers)
    assert letter.value == records[0].value
    assert headers["wundr_key"] == records[0].key
    assert headers["wundr_reason"] == b"KeyError"
    assert headers["wundr_retry_count"] == b"3"
    assert headers["wundr_handler"] == b"fragile"
    assert headers["wundr_subscription"] == b"team.main"
    assert headers["ce_id"] == dict(records[0].headers)["ce_id"]
    assert bench.slept == []


async def test_one_failing_handler_does_not_keep_the_event_from_the_others(
    bench: Bench, started: MakeEvent
) -> None:
    app = App("team")
    seen: list[Any] = []

    @app.on("analysis.started", order=1)
    async def fails(event: Event[Any], context: Context) -> None:
        raise ValueError("no")

    @app.on("analysis.started", order=2)
    async def works(event: Event[Any], context: Context) -> None:
        seen.append(event.id)

    record = bench.record(started())
    await bench.processor(app).process(record.source, [record])
    await bench.redo()
    assert len(seen) == 1
    assert len(letters(bench)) == 1


async def test_infrastructure_pauses_a_handler_and_never_fills_the_dead_letters(
    bench: Bench, started: MakeEvent
) -> None:
    app = App("team")
    tries: list[int] = []

    @app.on("analysis.started")
    async def store(event: Event[Any], context: Context) -> None:
        tries.append(1)
        if len(tries) <= 30:
            raise BrokerUnavailable("away")

    record = bench.record(started())
    await bench.processor(app).process(record.source, [record])
    assert len(tries) == 31
    assert letters(bench) == []


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"foreign bytes", b"schemas.not_an_event"),
        (b"", b"schemas.not_an_event"),
        (frame(123, b"avro"), b"schemas.unknown_schema_id"),
    ],
    ids=["foreign", "empty", "unknown-schema"],
)
async def test_bytes_that_cannot_be_read_become_a_dead_letter(
    bench: Bench, value: bytes, reason: bytes
) -> None:
    app = App("team")

    @app.on("*")
    async def never(event: Event[Any], context: Context) -> None:
        raise AssertionError(event)

    record = RawRecord(
        topic="events.domain.high", partition=1, offset=9, timestamp_ms=0, key=b"k", value=value
    )
    await bench.processor(app).process(record.source, [record])
    (letter,) = letters(bench)
    headers = dict(letter.headers)
    assert (letter.value, headers["wundr_reason"]) == (value, reason)
    assert headers["wundr_origin"] == b"events.domain.high/1/9"


async def test_bytes_cut_anywhere_become_a_dead_letter(bench: Bench, started: MakeEvent) -> None:
    app = App("team")

    @app.on("*")
    async def read(event: Event[Any], context: Context) -> None:
        assert event.data is not None

    whole = bench.record(started())
    value = whole.value or b""
    cuts = [
        RawRecord(
            topic=whole.topic,
            partition=0,
            offset=length,
            timestamp_ms=0,
            key=b"Analysis/%d" % length,
            value=value[:length],
            headers=whole.headers,
        )
        for length in range(len(value))
    ]
    await bench.processor(app).process(whole.source, cuts)
    assert len(letters(bench)) == len(cuts)
    reasons = {dict(letter.headers)["wundr_reason"] for letter in letters(bench)}
    assert reasons == {b"schemas.not_an_event", b"schemas.truncated_event"}


async def test_what_is_emitted_after_a_handler_that_emitted_nothing_is_refused(
    bench: Bench, started: MakeEvent
) -> None:
    app = App("team")
    contexts: list[Context] = []

    @app.on("analysis.started")
    async def forget(event: Event[Any], context: Context) -> None:
        contexts.append(context)

    record = bench.record(started())
    await bench.processor(app).process(record.source, [record])
    with pytest.raises(HandlerReturned, match="forget"):
        await contexts[0].publish(notification("late"), aggregate_id="late")
