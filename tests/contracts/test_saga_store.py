"""What every SagaStore promises, in process and on PostgreSQL alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest

from connectors.outbox import OutboxRow
from connectors.postgres.database import Database
from connectors.postgres.migrations import migrate
from connectors.postgres.saga_store import PostgresSagaStore
from connectors.settings import PostgresSettings
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event, EventData, EventFactory
from schemas.topics import all_events_topics
from streams.memory.log import MemoryLog
from streams.memory.sagas import MemorySagaStore
from streams.memory.schemas import MemoryWriterSchemas
from streams.sagas.course import Address, SagaStatus, SagaSteps, Step
from streams.sagas.store import Fired, SagaStore
from tests.contracts.probe_saga import REPLY, ProbeSaga, reply, session
from tests.contracts.rigs import unique

CATALOG = Catalog.load()
FACTORY = EventFactory(CATALOG, "tests")


class SagaRig(Protocol):
    """Makes stores as processes of one installation have them, and looks behind their backs."""

    def store(self) -> SagaStore:
        """The store of another process."""
        ...

    async def sent(self) -> list[Event[Any]]:
        """The events that are on their way or in the topics."""
        ...


@dataclass
class MemoryRig:
    """One store: it is the process."""

    log: MemoryLog
    only: MemorySagaStore

    def store(self) -> SagaStore:
        return self.only

    async def sent(self) -> list[Event[Any]]:
        codec = Codec(CATALOG)
        return [
            codec.view(record.value or b"")
            for topic in all_events_topics()
            for record in self.log.topic(topic)
        ]


@dataclass
class PostgresRig:
    """Each store has connections of its own."""

    databases: list[Database]

    def store(self) -> SagaStore:
        self.databases = [*self.databases[1:], self.databases[0]]
        codec = Codec(CATALOG)
        schemas = MemoryWriterSchemas(MemoryLog(), codec, wait_s=0)
        return PostgresSagaStore(self.databases[0], CATALOG, codec, schemas)

    async def sent(self) -> list[Event[Any]]:
        codec = Codec(CATALOG)
        async with self.databases[0].connection() as connection:
            found = await connection.execute(
                "SELECT position, id, type, payload, topic, key, traceparent"
                " FROM outbox ORDER BY position"
            )
            rows = [OutboxRow(*row) for row in await found.fetchall()]
        events = [codec.view(row.payload) for row in rows]
        assert [(row.topic, row.key) for row in rows] == [(it.topic, it.key) for it in events]
        return events


@asynccontextmanager
async def on_postgres(dsn: str) -> AsyncIterator[PostgresRig]:
    settings = PostgresSettings(dsn=dsn, acquire_timeout_s=60)
    await migrate(settings)
    async with Database(settings) as one, Database(settings) as other:
        yield PostgresRig([one, other])


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.postgres)])
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[SagaRig]:
    """A store of sagas that nobody else uses."""
    if request.param == "memory":
        log = MemoryLog()
        yield MemoryRig(log, MemorySagaStore(log, CATALOG, Codec(CATALOG)))
        return
    async with on_postgres(request.getfixturevalue("fresh_database")) as made:
        yield made


class Course:
    """One course of the probe saga, as the handlers of several processes drive it."""

    def __init__(self, rig: SagaRig, key: str = "", reply_s: float = 3_600.0) -> None:
        self.rig = rig
        self.key = key or unique("s")
        self.steps = SagaSteps("tests", ProbeSaga(reply_s), FACTORY)
        self.address = Address("tests", "probe", self.key)

    async def takes(self, event: Event[Any]) -> Step | None:
        store = self.rig.store()
        act = store.take if self.steps.starts(event) else store.carry_on
        return await act(self.steps.address(event), lambda course: self.steps.step(course, event))

    async def starts(self) -> Event[Any]:
        event = made(session(self.key))
        assert await self.takes(event) is not None
        return event

    async def fires(self, until: datetime | None = None) -> Fired:
        return await self.rig.store().fire(self.steps.name, self.steps.passed, 100, until)

    async def status(self) -> SagaStatus | None:
        found = await self.rig.store().find(self.address)
        return None if found is None else found.status

    async def due_in_s(self) -> float | None:
        return await self.rig.store().due_in_s(self.steps.name)


def made(data: EventData, **details: Any) -> Event[Any]:
    """An event as it comes from a topic: it has its bytes."""
    codec = Codec(CATALOG)
    return codec.view(codec.encode(FACTORY.create(data, **details)))


def types(events: list[Event[Any]]) -> list[str]:
    return sorted(event.type for event in events)


BEGINNING = ["analysis.started", "setup.step.validate.started"]


async def test_a_step_and_what_it_emits_are_there_together(rig: SagaRig) -> None:
    course = Course(rig)
    started = await course.starts()
    sent = await rig.sent()
    assert types(sent) == BEGINNING
    assert {event.causation_id for event in sent} == {started.id}
    assert {event.correlation_id for event in sent} == {started.correlation_id}
    found = await rig.store().find(course.address)
    assert found is not None
    assert found.taken_in == (started,)
    assert found.status is SagaStatus.RUNNING


async def test_an_appended_event_gets_the_next_version_of_its_aggregate(rig: SagaRig) -> None:
    course = Course(rig)
    await course.starts()
    (appended,) = [it for it in await rig.sent() if it.type == "analysis.started"]
    assert appended.aggregate is not None
    assert appended.aggregate.version == 1


async def test_an_event_that_comes_again_changes_nothing(rig: SagaRig) -> None:
    course = Course(rig)
    started = await course.starts()
    again = await course.takes(started)
    assert again is not None
    assert again.is_repeat
    assert types(await rig.sent()) == BEGINNING
    found = await rig.store().find(course.address)
    assert found is not None
    assert found.taken_in == (started,)
    told = course.steps.went_out(found, started)
    assert {event.id for event in told} == {event.id for event in await rig.sent()}


async def test_one_event_that_many_processes_take_at_once_is_one_step(rig: SagaRig) -> None:
    course = Course(rig)
    started = made(session(course.key))
    steps = await asyncio.gather(*(course.takes(started) for _ in range(8)))
    assert [step is not None and step.is_repeat for step in steps].count(False) == 1
    assert types(await rig.sent()) == BEGINNING


async def test_different_events_of_one_course_at_once_are_steps_one_behind_the_other(
    rig: SagaRig,
) -> None:
    course = Course(rig)
    await course.starts()
    replies = [made(reply(course.key, success=False, reason="wait")) for _ in range(8)]
    await asyncio.gather(*(course.takes(event) for event in replies))
    found = await rig.store().find(course.address)
    assert found is not None
    assert {event.id for event in found.taken_in[1:]} == {event.id for event in replies}


async def test_an_event_that_starts_nothing_and_finds_no_course_is_left_aside(rig: SagaRig) -> None:
    course = Course(rig)
    assert await course.takes(made(reply(course.key))) is None
    assert await course.status() is None
    assert await rig.sent() == []


async def test_a_course_that_is_over_takes_nothing_in_and_waits_for_nothing(rig: SagaRig) -> None:
    course = Course(rig)
    await course.starts()
    await course.takes(made(reply(course.key)))
    assert await course.status() is SagaStatus.COMPLETED
    assert await course.due_in_s() is None
    assert await course.takes(made(reply(course.key))) is None
    assert await course.takes(made(session(course.key))) is None
    assert types(await rig.sent()) == [*BEGINNING[:1], "setup.session.completed", BEGINNING[1]]


async def test_what_a_saga_raises_is_raised_and_changes_nothing(rig: SagaRig) -> None:
    course = Course(rig)
    await course.starts()
    with pytest.raises(ValueError, match="cannot decide"):
        await course.takes(made(reply(course.key, success=False, reason="raise")))
    found = await rig.store().find(course.address)
    assert found is not None
    assert len(found.taken_in) == 1
    assert types(await rig.sent()) == BEGINNING


async def test_compensation_goes_out_and_the_course_is_being_undone(rig: SagaRig) -> None:
    course = Course(rig)
    await course.starts()
    await course.takes(made(reply(course.key, success=False)))
    assert await course.status() is SagaStatus.COMPENSATING
    undone = [it for it in await rig.sent() if it.type == "setup.step.rollback.started"]
    assert [event.data.reason for event in undone] == ["2 steps"]


async def test_a_deadline_is_not_fired_before_it_is_due(rig: SagaRig) -> None:
    course = Course(rig, reply_s=60)
    await course.starts()
    assert await course.fires() == Fired()
    due_in_s = await course.due_in_s()
    assert due_in_s is not None
    assert 30 < due_in_s <= 60


async def test_a_deadline_that_is_due_is_fired_once_and_what_follows_goes_out(
    rig: SagaRig,
) -> None:
    course = Course(rig, reply_s=0)
    started = await course.starts()
    fired = await course.fires()
    assert (fired.handled, fired.failed) == (1, 0)
    assert await course.fires() == Fired()
    sent = {event.type: event for event in await rig.sent()}
    passed, failed = sent["system.saga.deadline.passed"], sent["setup.session.failed"]
    assert (passed.data.key, passed.data.deadline) == (course.key, REPLY)
    assert passed.causation_id == started.id
    assert failed.causation_id == passed.id
    assert failed.correlation_id == passed.correlation_id == started.correlation_id
    assert len(sent) == len(await rig.sent()) == 4
    assert await course.status() is SagaStatus.COMPLETED


async def test_a_deadline_that_is_due_waits_where_only_earlier_ones_may_pass(
    rig: SagaRig,
) -> None:
    course = Course(rig, reply_s=0)
    before = datetime.now(UTC) - timedelta(minutes=1)
    await course.starts()
    assert await course.fires(before) == Fired()
    assert (await course.fires(before + timedelta(hours=1))).handled == 1


async def test_many_that_fire_at_once_fire_each_deadline_once(rig: SagaRig) -> None:
    courses = [Course(rig, reply_s=0) for _ in range(20)]
    for course in courses:
        await course.starts()
    fired = await asyncio.gather(*(courses[0].fires() for _ in range(6)))
    while (more := await courses[0].fires()).handled:
        fired.append(more)
    assert sum(len(it.steps) for it in fired) == len(courses)
    assert types(await rig.sent()).count("setup.session.failed") == len(courses)


async def test_a_deadline_that_is_set_again_replaces_the_one_before(rig: SagaRig) -> None:
    course = Course(rig, reply_s=0)
    await course.starts()
    course.steps = SagaSteps("tests", ProbeSaga(60), FACTORY)
    await course.takes(made(reply(course.key, success=False, reason="wait")))
    assert await course.fires() == Fired()
    assert (await course.due_in_s() or 0) > 30


async def test_an_event_may_come_while_deadlines_are_fired(rig: SagaRig) -> None:
    courses = [Course(rig, reply_s=0) for _ in range(20)]
    for course in courses:
        await course.starts()
    await asyncio.gather(
        *(course.takes(made(reply(course.key))) for course in courses),
        *(courses[0].fires() for _ in range(4)),
    )
    while (await courses[0].fires()).handled:
        pass
    ends = [it.type for it in await rig.sent() if it.type.startswith("setup.session.")]
    assert len(ends) == len(courses), "each ended once, by its reply or by its deadline"
    assert {await course.status() for course in courses} == {SagaStatus.COMPLETED}


async def test_courses_of_another_saga_are_not_touched(rig: SagaRig) -> None:
    course = Course(rig, reply_s=0)
    await course.starts()
    other = course.steps.name._replace(app="others")
    assert await rig.store().fire(other, course.steps.passed, 100) == Fired()
    assert await rig.store().due_in_s(other) is None
    assert await course.due_in_s() is not None
