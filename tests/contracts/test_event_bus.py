"""What every EventBus promises, in process and on Kafka alike."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.errors import InvalidEventData, InvalidPattern, UnknownEventType
from schemas.event import Event, EventFactory
from schemas.events.domain import AnalysisStarted, NotificationSent
from schemas.events.integration import IntegrationRepositorySynced
from schemas.framing import LOCK_BIT, frame
from streams.bus.log_bus import LogBus
from streams.context import Context
from streams.errors import (
    BrokerUnavailable,
    DuplicateName,
    HandlerMismatch,
    UnknownSubscription,
)
from streams.group_pump import READ_S
from streams.processor import AppProcessor
from streams.records import OutgoingRecord
from tests.contracts.rigs import WAIT_S, BusRig, Collected, dead_letters, unique, write

OpenBus = Callable[..., Awaitable[LogBus]]
MakeEvent = Callable[..., Event[Any]]

SYNCED = "integration.repository.synced"


async def test_a_receipt_resolves_to_the_place_of_the_event(
    open_bus: OpenBus, synced: MakeEvent
) -> None:
    bus = await open_bus(unique("app"))
    first, second = await bus.publish(synced()), await bus.publish(synced())
    one, two = await first, await second
    assert first.acknowledged
    assert one.topic == "events.integration.normal"
    assert (two.topic, two.partition) == (one.topic, one.partition)
    assert two.offset > one.offset


async def test_a_batch_with_one_bad_event_sends_nothing_of_it(
    open_bus: OpenBus, synced: MakeEvent, factory: EventFactory, correlation_id: str
) -> None:
    bus, seen = await open_bus(unique("app")), Collected(correlation_id)
    await bus.subscribe(SYNCED, seen, name="seen")
    files: Any = "three"
    bad = factory.create(
        IntegrationRepositorySynced(repository="bad", project_id="p", files=files, bytes=1),
        aggregate_id="bad",
    )
    with pytest.raises(InvalidEventData) as refused:
        await bus.publish_batch([synced("bad1"), bad, synced("bad2")])
    assert refused.value.path == "data.files"
    receipts = await bus.publish_batch([synced("good1"), synced("good2")])
    assert len(receipts) == 2
    events = await seen.wait_for(2)
    assert {event.data.repository for event in events} == {"good1", "good2"}


async def test_events_of_an_aggregate_arrive_in_the_order_of_publishing(
    open_bus: OpenBus, synced: MakeEvent, correlation_id: str
) -> None:
    bus, seen = await open_bus(unique("app")), Collected(correlation_id)
    await bus.subscribe(SYNCED, seen, name="seen")
    await bus.publish_batch([synced(f"r{n % 7}", files=n) for n in range(210)])
    events = await seen.wait_for(210)
    for repository in {event.data.repository for event in events}:
        order = [event.data.files for event in events if event.data.repository == repository]
        assert order == sorted(order)
        assert len(order) == 30


async def test_a_pattern_delivers_its_type_its_prefix_or_all(
    open_bus: OpenBus, synced: MakeEvent, factory: EventFactory, correlation_id: str
) -> None:
    bus = await open_bus(unique("app"))
    collected = {
        pattern: Collected(correlation_id) for pattern in (SYNCED, "integration.*", "plugin.*", "*")
    }
    for number, (pattern, handler) in enumerate(collected.items()):
        await bus.subscribe(pattern, handler, name=f"s{number}")
    metric = {"plugin": "p", "metric": "m", "value": 1.5, "projectId": None}
    event = factory.create_from_mapping(
        "plugin.metric.recorded", metric, correlation_id=correlation_id
    )
    repository = synced()
    await bus.publish_batch([repository, event])
    await collected["*"].wait_for(2)
    await collected[SYNCED].wait_for(1)
    await collected["integration.*"].wait_for(1)
    await collected["plugin.*"].wait_for(1)
    assert collected[SYNCED].ids == collected["integration.*"].ids == [repository.id]
    assert collected["plugin.*"].ids == [event.id]


async def test_buses_of_one_app_compete_and_each_app_gets_a_copy(
    open_bus: OpenBus, synced: MakeEvent, correlation_id: str
) -> None:
    app, other_app = unique("app"), unique("app")
    both, theirs = Collected(correlation_id), Collected(correlation_id)
    shares: list[list[str]] = [[], []]
    for share in shares:

        async def seen(event: Event[Any], context: Context, share: list[str] = share) -> None:
            share.append(event.id)
            await both(event, context)

        await (await open_bus(app)).subscribe(SYNCED, seen, name="seen")
    await (await open_bus(other_app)).subscribe(SYNCED, theirs, name="seen")
    producer = await open_bus(unique("app"))
    receipts = await producer.publish_batch([synced(f"r{n}") for n in range(80)])
    for receipt in receipts:
        await receipt
    await theirs.wait_for(80)
    await both.wait_for(80)
    assert len(set(both.ids)) == len(both.ids) == 80
    assert all(0 < len(share) < 80 for share in shares)
    assert len(set(theirs.ids)) == 80


async def test_a_new_subscription_begins_at_the_end_of_the_log(
    open_bus: OpenBus, synced: MakeEvent, correlation_id: str
) -> None:
    bus, seen = await open_bus(unique("app")), Collected(correlation_id)
    await (await bus.publish(synced(files=1)))
    await bus.subscribe(SYNCED, seen, name="seen")
    await (await bus.publish(synced(files=2)))
    events = await seen.wait_for(1)
    assert [event.data.files for event in events] == [2]


async def test_unsubscribing_finishes_what_is_in_work_and_delivers_nothing_more(
    open_bus: OpenBus, synced: MakeEvent, correlation_id: str
) -> None:
    bus = await open_bus(unique("app"))
    entered, release, finished = asyncio.Event(), asyncio.Event(), []
    later = Collected(correlation_id)

    async def slow(event: Event[Any], context: Context) -> None:
        if event.correlation_id == correlation_id:
            entered.set()
            await release.wait()
            finished.append(event.data.files)

    subscription = await bus.subscribe(SYNCED, slow)
    await bus.publish(synced(files=1))
    await asyncio.wait_for(entered.wait(), WAIT_S)
    leaving = asyncio.create_task(bus.unsubscribe(subscription))
    # Whoever waits for nothing is through by then.
    done, _ = await asyncio.wait({leaving}, timeout=2 * READ_S)
    assert done == set()
    release.set()
    await asyncio.wait_for(leaving, WAIT_S)
    assert finished == [1]
    await (await bus.publish(synced(files=2)))
    await bus.subscribe(SYNCED, later, name="slow")
    assert [event.data.files for event in await later.wait_for(1)] == [2]
    assert finished == [1]


async def test_a_subscription_that_ended_by_a_defect_says_so_before_it_is_given_up(
    open_bus: OpenBus, synced: MakeEvent, monkeypatch: pytest.MonkeyPatch, correlation_id: str
) -> None:
    bus = await open_bus(unique("app"))

    async def defect(*_: object) -> None:
        raise LookupError("a defect of the platform")

    subscription = await bus.subscribe(SYNCED, Collected(correlation_id), name="seen")
    monkeypatch.setattr(AppProcessor, "process", defect)
    await bus.publish(synced())
    with pytest.raises(LookupError, match="a defect of the platform"):
        await asyncio.wait_for(bus.watch(subscription), WAIT_S)
    with pytest.raises(LookupError, match="a defect of the platform"):
        await bus.unsubscribe(subscription)
    with pytest.raises(UnknownSubscription):
        await bus.watch(subscription)


async def test_a_known_subscription_goes_on_where_it_stopped(
    open_bus: OpenBus, synced: MakeEvent, correlation_id: str
) -> None:
    app = unique("app")
    before, after = Collected(correlation_id), Collected(correlation_id)
    bus = await open_bus(app)
    subscription = await bus.subscribe(SYNCED, before, name="seen")
    await bus.publish_batch([synced(f"r{n}", files=n) for n in range(10)])
    await before.wait_for(10)
    await bus.unsubscribe(subscription)
    for receipt in await bus.publish_batch([synced(f"r{n}", files=n) for n in range(10, 20)]):
        await receipt
    await (await open_bus(app)).subscribe(SYNCED, after, name="seen")
    events = await after.wait_for(10)
    assert sorted(event.data.files for event in events) == list(range(10, 20))


async def test_a_handler_that_fails_has_three_tries_then_the_dead_letters_have_its_bytes(
    rig: BusRig, open_bus: OpenBus, synced: MakeEvent, correlation_id: str
) -> None:
    app = unique("app")
    bus, good, tries = await open_bus(app), Collected(correlation_id), []

    async def fragile(event: Event[Any], context: Context) -> None:
        if event.correlation_id == correlation_id and event.data.repository == "bad":
            tries.append(event.id)
            raise LookupError("no such repository")
        await good(event, context)

    subscription = await bus.subscribe(SYNCED, fragile)
    bad = synced("bad")
    await bus.publish_batch([bad, synced("good")])
    await good.wait_for(1)
    (letter,) = await dead_letters(rig, app, at_least=1)
    await bus.unsubscribe(subscription)
    headers = dict(letter.headers)
    assert tries == [bad.id] * 3
    assert letter.value == Codec(Catalog.load()).encode(bad)
    assert headers["wundr_key"] == bad.key.encode()
    assert headers["wundr_reason"] == b"LookupError"
    assert headers["wundr_last_error"] == b"LookupError: no such repository"
    assert headers["wundr_retry_count"] == b"3"
    assert headers["wundr_subscription"] == f"{app}.fragile".encode()
    assert headers["ce_id"] == bad.id.encode()


async def test_failing_infrastructure_pauses_and_counts_no_try(
    rig: BusRig, open_bus: OpenBus, synced: MakeEvent, correlation_id: str
) -> None:
    app = unique("app")
    bus, seen, tries = await open_bus(app), Collected(correlation_id), []

    async def needs_database(event: Event[Any], context: Context) -> None:
        tries.append(event.id)
        if len(tries) < 8:
            raise ConnectionError("the database is away")
        await seen(event, context)

    subscription = await bus.subscribe(SYNCED, needs_database)
    event = synced()
    await bus.publish(event)
    await seen.wait_for(1)
    await bus.unsubscribe(subscription)
    assert seen.ids == [event.id]
    assert tries == [event.id] * 8
    assert await dead_letters(rig, app) == []


async def test_a_handler_that_runs_again_emits_the_same_events(
    open_bus: OpenBus, synced: MakeEvent, correlation_id: str
) -> None:
    bus, notes = await open_bus(unique("app")), Collected(correlation_id)

    async def notify(event: Event[Any], context: Context) -> None:
        if event.correlation_id == correlation_id:
            note = NotificationSent(
                notification_id=event.id, project_id="p1", user_id=None, subject="synced"
            )
            await context.publish(note, aggregate_id=event.id)

    await bus.subscribe("notification.sent", notes, name="notes")
    await bus.subscribe(SYNCED, notify)
    cause = synced()
    await bus.publish_batch([cause, cause])
    first, second = await notes.wait_for(2)
    assert first.id == second.id
    assert first.timestamp_ms == second.timestamp_ms == cause.timestamp_ms
    assert (first.causation_id, first.correlation_id) == (cause.id, correlation_id)


async def test_a_type_that_the_catalog_does_not_know_is_refused(
    open_bus: OpenBus, factory: EventFactory, older_catalog: Catalog, correlation_id: str
) -> None:
    bus = await open_bus(unique("app"), older_catalog)
    metric = {"plugin": "p", "metric": "m", "value": 1.5, "projectId": None}
    event = factory.create_from_mapping("plugin.metric.recorded", metric)
    with pytest.raises(UnknownEventType, match=r"plugin\.metric\.recorded"):
        await bus.publish(event)
    with pytest.raises(UnknownEventType, match=r"no\.such\.type"):
        await bus.subscribe("no.such.type", Collected(correlation_id), name="none")


async def test_a_subscription_that_makes_no_sense_is_refused(
    open_bus: OpenBus, correlation_id: str
) -> None:
    bus, handler = await open_bus(unique("app")), Collected(correlation_id)

    async def on_started(event: Event[AnalysisStarted], context: Context) -> None:
        raise AssertionError(event)

    with pytest.raises(InvalidPattern):
        await bus.subscribe("integration..synced", handler, name="a")
    with pytest.raises(HandlerMismatch):
        await bus.subscribe(SYNCED, on_started)
    subscription = await bus.subscribe(SYNCED, handler, name="b")
    with pytest.raises(DuplicateName):
        await bus.subscribe("*", handler, name="b")
    await bus.unsubscribe(subscription)
    with pytest.raises(UnknownSubscription):
        await bus.unsubscribe(subscription)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda value: b'{"json": true}', b"schemas.not_an_event"),
        (lambda value: value[:-4], b"schemas.truncated_event"),
        (lambda value: value[:9], b"schemas.truncated_event"),
        (lambda value: frame(LOCK_BIT | 12345, value[5:]), b"schemas.unknown_schema_id"),
    ],
    ids=["foreign", "cut in the data", "cut in the envelope", "unknown schema id"],
)
async def test_bytes_that_cannot_be_read_become_a_dead_letter_and_work_goes_on(
    rig: BusRig,
    open_bus: OpenBus,
    synced: MakeEvent,
    correlation_id: str,
    spoil: Callable[[bytes], bytes],
    reason: bytes,
) -> None:
    app = unique("app")
    bus, seen = await open_bus(app), Collected(correlation_id)

    async def read(event: Event[Any], context: Context) -> None:
        assert event.data is not None
        await seen(event, context)

    subscription = await bus.subscribe(SYNCED, read)
    event = synced()
    spoilt = spoil(Codec(Catalog.load()).encode(event))
    await write(rig, OutgoingRecord(topic=event.topic, key=b"Repository/spoilt", value=spoilt))
    await bus.publish(synced())
    await seen.wait_for(1)
    await bus.unsubscribe(subscription)
    (letter,) = await dead_letters(rig, app)
    assert letter.value == spoilt
    assert dict(letter.headers)["wundr_reason"] == reason


async def test_an_older_consumer_reads_a_newer_producer(
    rig: BusRig,
    open_bus: OpenBus,
    factory: EventFactory,
    older_catalog: Catalog,
    correlation_id: str,
) -> None:
    app = unique("app")
    consumer, producer = await open_bus(app, older_catalog), await open_bus(unique("app"))
    seen = Collected(correlation_id)
    subscription = await consumer.subscribe("analysis.file.processed", seen, name="seen")
    data = {
        "analysisId": "a1",
        "projectId": "p1",
        "path": "json/decoder.py",
        "lines": 3,
        "functions": 2,
        "classes": 1,
        "error": None,
        "imports": 4,
        "complexity": 7,
    }
    newer = factory.create_from_mapping(
        "analysis.file.processed",
        data,
        aggregate_id="json/decoder.py",
        correlation_id=correlation_id,
        version="1.1.0",
    )
    await producer.publish(newer)
    (event,) = await seen.wait_for(1)
    assert event.version == "1.1.0"
    assert (event.payload["path"], event.payload["lines"]) == ("json/decoder.py", 3)
    await consumer.unsubscribe(subscription)
    assert await dead_letters(rig, app) == []


async def test_a_closed_bus_takes_nothing_more(open_bus: OpenBus, synced: MakeEvent) -> None:
    bus = await open_bus(unique("app"))
    await (await bus.publish(synced()))
    await bus.close()
    with pytest.raises(BrokerUnavailable, match="closed"):
        await bus.publish(synced())
