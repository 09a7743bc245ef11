"""What a subscription counts is exact, and what is sampled stands for all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from schemas.envelope import Category, Priority
from schemas.event import Event
from schemas.topics import events_topic
from streams.app import App
from streams.breaker import BreakerState
from streams.breaker_numbers import BreakerNumbers
from streams.context import BatchContext, Context
from streams.errors import BrokerUnavailable
from streams.event_metrics import event_metrics
from streams.metrics import Sample
from streams.parking.letter import READ
from streams.parking.lot import Backlog
from streams.parking.orders import Order, OrderKind
from streams.policies import Breaker, DeadLetter, Retry, TimeOut
from streams.records import RawRecord, TopicPartition
from streams.table import MemoryTable
from streams.work_metrics import TALLIES, WorkMetrics
from streams.work_samples import work_samples
from tests.unit.streams.bench import Bench

Make = Callable[..., Event[Any]]


def values(metrics: WorkMetrics, name: str, known: tuple[str, ...] = ()) -> dict[str, Any]:
    """The samples of one metric by their last label."""
    found: list[Sample] = [it for it in work_samples(metrics, known) if it.metric.name == name]
    return {it.labels[-1]: it.value for it in found}


async def work(bench: Bench, app: App, events: list[Event[Any]], **given: Any) -> WorkMetrics:
    """The numbers of an app that has been given these events."""
    records = [bench.record(event, offset) for offset, event in enumerate(events)]
    processor = bench.processor(app, **given)
    await processor.process(TopicPartition(records[0].topic, 0), records)
    await bench.redo()
    return processor.metrics


async def test_every_event_is_counted_once_by_type_and_by_handler(
    bench: Bench, started: Make
) -> None:
    app = App("team")

    @app.on("analysis.started")
    async def one(event: Event[Any], context: Context) -> None: ...

    @app.on("*")
    async def two(event: Event[Any], context: Context) -> None: ...

    metrics = await work(bench, app, [started(f"a{n}") for n in range(100)])
    assert metrics.events_by_type() == {"analysis.started": 100}
    assert metrics.handled() == {"one": 100, "two": 100}
    assert {name: spread.count for name, spread in metrics.processing.items()} == {
        "one": 100,
        "two": 100,
    }


async def test_a_handler_that_waits_is_timed_each_time(bench: Bench, started: Make) -> None:
    app = App("team")

    @app.on("analysis.started")
    async def wait(event: Event[Any], context: Context) -> None:
        await asyncio.sleep(0)

    metrics = await work(bench, app, [started(f"a{n}") for n in range(70)])
    assert metrics.processing["wait"].count == 70


async def test_tries_failures_and_dead_letters_are_told_apart(bench: Bench, started: Make) -> None:
    app = App("team")
    tries: list[str] = []

    @app.on("analysis.started")
    async def look(event: Event[Any], context: Context) -> None:
        tries.append(event.data.analysis_id)
        if event.data.analysis_id == "bad" or tries.count("shaky") == 1:
            raise ValueError("no")

    metrics = await work(bench, app, [started("good"), started("bad"), started("shaky")])
    assert metrics.handled() == {"look": 3}
    assert dict(metrics.failures) == {"look": 4}
    assert dict(metrics.retries) == {"look": 3}
    assert dict(metrics.dead_letters) == {"look": 1}
    assert values(metrics, "wundr_handler_failure_ratio") == {"look": 4 / 6}
    seen = event_metrics([metrics], {})
    assert (seen.total_events, seen.failure_rate) == (3, 4 / 6)
    assert seen.dead_letter_queue_size == 1


async def test_whoever_takes_batches_or_folds_counts_tries_of_its_own(
    bench: Bench, started: Make
) -> None:
    app = App("team")

    @app.on("analysis.started", batch=True)
    async def all_of_them(events: list[Event[Any]], context: BatchContext) -> None:
        if any(event.data.analysis_id == "bad" for event in events):
            raise ValueError("no")

    def fold(state: Any, event: Event[Any]) -> Any:
        if event.data.analysis_id == "bad":
            raise ValueError("no")
        return state

    app.projection("count", on=["analysis.*"], initial=dict)(fold)
    tables = {"count": MemoryTable("team.main-count-changelog")}
    metrics = await work(bench, app, [started("good"), started("bad")], tables=tables)
    # Both at once, the bad one alone, and its two tries more.
    assert dict(metrics.failures) == {"all_of_them": 4, "count": 1}
    assert dict(metrics.retries) == {"all_of_them": 2}
    assert dict(metrics.dead_letters) == {"all_of_them": 1, "count": 1}
    before = {name: spread.count for name, spread in metrics.processing.items()}
    for letter in list(bench.log.records(TopicPartition("dlq.team", 0), 0)):
        name = (letter.key or b"").decode()
        await bench.order(Order(app="team", letter_id=name, kind=OrderKind.REDRIVE))
    assert dict(metrics.dead_letters) == {"all_of_them": 2, "count": 2}, "both in vain"
    assert {name: spread.count for name, spread in metrics.processing.items()} == {
        name: tries + 1 for name, tries in before.items()
    }


async def test_what_stands_behind_a_failed_event_is_delivered_once(
    bench: Bench, started: Make
) -> None:
    app = App("team")
    tries: list[str] = []

    @app.on("analysis.started")
    async def look(event: Event[Any], context: Context) -> None:
        tries.append(event.id)
        if len(tries) == 1:
            raise ValueError("no")

    metrics = await work(bench, app, [started("a"), started("a"), started("a")])
    assert len(tries) == 4
    assert metrics.handled() == {"look": 3}
    assert (dict(metrics.failures), dict(metrics.retries)) == ({"look": 1}, {"look": 1})
    assert not metrics.dead_letters


async def test_what_no_breaker_lets_through_is_no_try_that_failed(
    bench: Bench, started: Make
) -> None:
    app = App("team")
    tries: list[str] = []

    breaker = Breaker("mailer", threshold=1, timeout_s=0.05)

    @app.on("analysis.started", policies=(TimeOut(), Retry(), breaker, DeadLetter()))
    async def mail(event: Event[Any], context: Context) -> None:
        tries.append(event.id)
        if len(tries) == 1:
            raise BrokerUnavailable("away")

    metrics = await work(bench, app, [started("a")])
    assert len(tries) == 2
    assert (dict(metrics.failures), dict(metrics.retries)) == ({"mail": 1}, {"mail": 1})


async def test_batches_and_tables_count_their_events(bench: Bench, started: Make) -> None:
    app = App("team")

    @app.on("analysis.started", batch=True)
    async def all_of_them(events: list[Event[Any]], context: BatchContext) -> None: ...

    app.projection("count", on=["analysis.*"], initial=dict)(lambda state, event: {"seen": True})
    tables = {"count": MemoryTable("team.main-count-changelog")}
    metrics = await work(bench, app, [started(f"a{n % 5}") for n in range(40)], tables=tables)
    assert metrics.handled() == {"all_of_them": 40, "count": 40}
    assert metrics.events_by_type() == {"analysis.started": 40}
    assert metrics.processing["all_of_them"].count == 40
    assert metrics.changelog_records["count"] == 6, "five entries, and the ids that they hold"
    assert (metrics.table_batches.count, metrics.table_batches.sum) == (1, 40)
    assert tables["count"].size() == 5


async def test_copies_for_another_key_are_no_new_events(bench: Bench, started: Make) -> None:
    app = App("team")
    app.projection(
        "totals", on=["analysis.*"], initial=dict, key=lambda event: event.data.project_id
    )(lambda state, event: state)
    tables = {"totals": MemoryTable("team.main-totals-changelog")}
    processor = bench.processor(app, tables)
    record = bench.record(started())
    await processor.process(record.source, [record])
    copy = record._replace(topic="repartition.team.totals", key=b"p1")
    await processor.process(copy.source, [copy])
    assert processor.metrics.events_by_type() == {"analysis.started": 1}
    assert processor.metrics.handled() == {"totals": 1}


def test_types_that_nobody_has_heard_of_are_one_label() -> None:
    metrics = WorkMetrics("team.main")
    for name in ("order.placed", "made.up", "made.up.too"):
        metrics.tally(name, ()).events += 2
    assert values(metrics, "wundr_events_total", ("order.placed",)) == {
        "order.placed": 2,
        "other": 4,
    }


def test_an_endless_stream_of_new_types_costs_bounded_memory() -> None:
    metrics = WorkMetrics()
    for number in range(2 * TALLIES):
        metrics.tally(f"type.{number}", ("all",)).events += 1
    assert len(metrics.events_by_type()) <= TALLIES + 1
    assert metrics.handled() == {"all": 2 * TALLIES}


@pytest.mark.parametrize(("records", "by_age"), [(1, {8_000: 1}), (4, {8_000: 2, 2_000: 2})])
def test_records_wait_as_long_as_the_first_and_the_last_of_them(
    records: int, by_age: dict[int, int]
) -> None:
    metrics = WorkMetrics()
    topic = events_topic(Category.DOMAIN, Priority.LOW)
    ages = [8_000 - 2_000 * number for number in range(records)]
    metrics.begun([RawRecord(topic, 0, 0, 10_000 - age, None, None) for age in ages], 10_000)
    waited = metrics.waiting[Priority.LOW]
    assert waited.count == records
    assert waited.sum == sum(age * times for age, times in by_age.items()) / 1_000


def test_a_breaker_is_in_one_state() -> None:
    states = {"mailer": BreakerState.OPEN, "search": BreakerState.CLOSED}
    found = {it.labels: it.value for it in BreakerNumbers(lambda: states).samples()}
    assert [labels for labels, value in found.items() if value] == [*states.items()]
    assert len(found) == len(states) * len(BreakerState)
    assert event_metrics([], states).circuit_breaker_state == states


def test_what_is_parked_is_asked_for_when_it_is_shown() -> None:
    metrics, lot = WorkMetrics("team.main"), [3]
    metrics.given_up("look")
    assert event_metrics([metrics], {}).dead_letter_queue_size == 1, "nobody parks"
    metrics.parked = lambda: Backlog(waiting=1, parked=lot[0], behind=2)
    assert values(metrics, "wundr_parked_events") == {"waiting": 1, "parked": 3, "behind": 2}
    metrics.dead = lambda: lot[0] + 1
    assert event_metrics([metrics], {}).dead_letter_queue_size == 4


def test_reading_has_failed_as_often_as_it_was_tried() -> None:
    metrics = WorkMetrics("team.main")
    for _ in range(50):
        metrics.failed(READ)
    assert values(metrics, "wundr_handler_failure_ratio") == {READ: 1.0}
    assert event_metrics([metrics], {}).failure_rate == 1.0
    metrics.tally("analysis.started", ("look",)).events += 150
    assert values(metrics, "wundr_handler_failure_ratio") == {READ: 0.25, "look": 0.0}
