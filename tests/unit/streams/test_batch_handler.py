"""Handlers of batches: the whole list at once, one bad event alone, emissions by their cause."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from schemas.event import Event
from schemas.events.domain import AnalysisStarted, NotificationSent
from streams.app import App
from streams.context import BatchContext, Context
from streams.emission import EMISSION, Emission
from streams.errors import HandlerMismatch, InvalidHandler
from streams.records import RawRecord
from tests.unit.streams.bench import Bench

MakeEvent = Callable[..., Event[Any]]
Batch = Sequence[Event[AnalysisStarted]]


def records(bench: Bench, started: MakeEvent, *names: str) -> list[RawRecord]:
    return [bench.record(started(name), offset) for offset, name in enumerate(names)]


def ids(batch: Batch) -> list[str]:
    return [event.data.analysis_id for event in batch]


async def test_a_batch_is_handed_over_whole_and_after_the_others(
    bench: Bench, started: MakeEvent
) -> None:
    app = App("team")
    seen: list[object] = []

    @app.on(AnalysisStarted, batch=True)
    async def together(batch: Batch, context: BatchContext) -> None:
        seen.append(ids(batch))

    @app.on(AnalysisStarted, order=9)
    async def alone(event: Event[AnalysisStarted], context: Context) -> None:
        seen.append(event.data.analysis_id)

    given = records(bench, started, "a", "b")
    await bench.processor(app).process(given[0].source, given)
    assert seen == ["a", "b", ["a", "b"]]


async def test_an_event_that_is_declined_is_not_in_the_list(
    bench: Bench, started: MakeEvent
) -> None:
    app = App("team")
    seen: list[list[str]] = []

    @app.on(AnalysisStarted, batch=True, can_handle=lambda event: event.data.analysis_id != "b")
    async def together(batch: Batch, context: BatchContext) -> None:
        seen.append(ids(batch))

    given = records(bench, started, "a", "b", "c")
    await bench.processor(app).process(given[0].source, given)
    assert seen == [["a", "c"]]


async def test_one_bad_event_in_a_batch_is_a_dead_letter_and_its_neighbours_are_handled(
    bench: Bench, started: MakeEvent
) -> None:
    app = App("team")
    handled: list[str] = []

    @app.on(AnalysisStarted, batch=True)
    async def together(batch: Batch, context: BatchContext) -> None:
        if "bad" in ids(batch):
            raise ValueError("cannot be handled")
        handled.extend(ids(batch))

    given = records(bench, started, "a", "bad", "c")
    await bench.processor(app).process(given[0].source, given)
    assert handled == ["a", "c"]
    await bench.redo()
    assert handled == ["a", "c"]
    (letter,) = bench.log.topic("dlq.team")
    assert letter.value == given[1].value


async def test_bytes_that_are_no_event_among_five_hundred_are_a_dead_letter_alone(
    bench: Bench, started: MakeEvent
) -> None:
    app = App("team")
    handled: list[str] = []

    @app.on("*", batch=True)
    async def together(batch: Batch, context: BatchContext) -> None:
        handled.extend(ids(batch))

    given = records(bench, started, *(str(number) for number in range(500)))
    given[250] = given[250]._replace(value=b"not an event")
    await bench.processor(app).process(given[0].source, given)
    assert len(handled) == 499
    (letter,) = bench.log.topic("dlq.team")
    assert letter.value == b"not an event"


async def test_what_a_batch_emits_does_not_depend_on_what_was_delivered_together(
    bench: Bench, started: MakeEvent
) -> None:
    app = App("team")

    @app.on(AnalysisStarted, batch=True)
    async def together(batch: Batch, context: BatchContext) -> None:
        for event in batch:
            await context.publish(
                NotificationSent(
                    notification_id=event.data.analysis_id,
                    project_id="p",
                    user_id=None,
                    subject="started",
                ),
                cause=event,
            )

    given = records(bench, started, "a", "b", "c")
    processor = bench.processor(app)
    await processor.process(given[0].source, given)
    await processor.process(given[0].source, given[:1])
    await processor.process(given[0].source, given[1:])
    emitted = [
        bench.codec.view(record.value or b"") for record in bench.log.topic("events.domain.normal")
    ]
    assert set(Counter(event.id for event in emitted).values()) == {2}
    assert {event.causation_id for event in emitted} == {
        bench.codec.view(record.value or b"").id for record in given
    }


async def test_a_repeat_within_a_batch_is_handed_over_once_and_at_its_first_place(
    bench: Bench, started: MakeEvent
) -> None:
    app = App("team")
    seen: list[list[str]] = []

    @app.on(AnalysisStarted, batch=True)
    async def together(batch: Batch, context: BatchContext) -> None:
        seen.append(ids(batch))
        for event in batch:
            sent = NotificationSent(
                notification_id=event.id, project_id="p", user_id=None, subject="started"
            )
            await context.publish(sent, cause=event, aggregate_id="always the same")

    a, b = started("a"), started("b")
    given = [bench.record(a, 10), bench.record(b, 11), bench.record(a, 12)]
    await bench.processor(app).process(given[0].source, given)
    assert seen == [["a", "b"]]
    places = [
        Emission.decode(record.header(EMISSION) or b"")
        for record in bench.log.topic("events.domain.normal")
    ]
    assert [(it.cause.offset, it.ordinal) for it in places] == [(10, 0), (11, 0)]


def test_a_batch_handler_that_names_another_type_is_refused() -> None:
    async def together(batch: Sequence[Event[NotificationSent]], context: BatchContext) -> None:
        """Takes notifications."""

    with pytest.raises(HandlerMismatch, match="together"):
        App("team").on("analysis.started", batch=True)(together)


@pytest.mark.parametrize(
    "options",
    [{"concurrency": 0}, {"deadline_s": 0}, {"subscription": "No Name"}, {"subscription": ""}],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidHandler):
        App("team").on("*", **options)


def test_a_batch_handler_takes_no_concurrency() -> None:
    with pytest.raises(InvalidHandler, match="the whole list"):
        App("team").on("*", batch=True, concurrency=2)
