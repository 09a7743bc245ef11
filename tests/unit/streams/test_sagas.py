"""What a saga may be and decide, what its steps are, and how its deadlines are fired in process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest

from schemas.codec import Codec
from schemas.event import Event, EventData
from schemas.events.domain import SetupSessionStarted
from schemas.topics import all_events_topics
from streams.app import App
from streams.errors import DuplicateName, JournalFailed
from streams.journal import FileJournal, read_journal
from streams.memory.log import MemoryLog
from streams.memory.sagas import MemorySagaStore
from streams.memory.worker import MemoryWorker
from streams.publisher import event_record
from streams.sagas.course import Address, Course, DueDeadline, SagaStatus, SagaSteps
from streams.sagas.errors import InvalidReaction, InvalidSaga, SagaStoreMissing
from streams.sagas.handling import StepJournal, no_listener
from streams.sagas.running import SagaRunning
from streams.sagas.saga import (
    CancelDeadline,
    Compensate,
    Complete,
    Deadline,
    Emit,
    Reaction,
    Saga,
)
from streams.testing.events import FIRST_TIME, counting_factory, packaged_catalog
from streams.testing.sagas import SagaScenario
from tests.contracts.probe_saga import REPLY, ProbeSaga, analysis_of, reply, session

CATALOG = packaged_catalog()
WAIT_S = 10.0


class Told(Saga[int]):
    """Decides what the test has told it."""

    name = "told"
    started_by: ClassVar[Sequence[type[EventData]]] = (SetupSessionStarted,)

    def __init__(self, *reactions: Any, key: Any = "k") -> None:
        self.reactions = reactions
        self.key = key

    def correlate(self, event: Event[Any]) -> str:
        key: str = self.key
        return key

    def initial(self) -> int:
        return 0

    def evolve(self, state: int, event: Event[Any]) -> int:
        return state + 1

    def decide(self, state: int, event: Event[Any]) -> Sequence[Reaction]:
        return self.reactions


def deciding(*reactions: Any) -> SagaScenario[int]:
    return SagaScenario(Told(*reactions))


def steps_of(saga: Saga[Any]) -> SagaSteps[Any]:
    return SagaSteps("tests", saga, counting_factory(CATALOG))


@pytest.mark.parametrize(
    ("reactions", "status"),
    [
        ((), SagaStatus.RUNNING),
        ((Complete(),), SagaStatus.COMPLETED),
        ((Compensate(),), SagaStatus.COMPENSATED),
        ((Compensate(), Complete()), SagaStatus.COMPENSATED),
    ],
)
def test_a_course_is_as_far_as_its_reactions_say(
    reactions: Sequence[Reaction], status: SagaStatus
) -> None:
    deciding(*reactions).when(session("k")).then_status(status)


def test_of_two_deadlines_of_one_name_the_last_one_holds() -> None:
    first, last = Deadline("d", after_s=1), Deadline("d", after_s=2)
    deciding(first, last).when(session("k")).then(last)
    deciding(CancelDeadline("d"), last).when(session("k")).then(last)
    deciding(first, CancelDeadline("d")).when(session("k")).then(CancelDeadline("d"))


def test_the_end_of_a_course_takes_its_deadlines_along() -> None:
    ended = deciding(Deadline("d", after_s=1), Complete()).when(session("k"))
    ended.then().then_waiting_for()


def test_events_go_out_in_the_order_of_the_reactions_with_ids_that_a_rerun_gives_again() -> None:
    steps = steps_of(Told(Emit(analysis_of("a")), Emit(analysis_of("b"))))
    course = Course(address=Address("tests", "told", "k"))
    cause = counting_factory(CATALOG).create(session("k"))
    once, again = steps.step(course, cause), steps.step(course, cause)
    assert once is not None
    assert once == again
    assert [event.data for event in once.events] == [analysis_of("a"), analysis_of("b")]
    assert {event.causation_id for event in once.events} == {cause.id}


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"after_s": 1.0, "at": FIRST_TIME},
        {"after_s": -1.0},
        {"after_s": float("nan")},
        {"after_s": 1e12},
        {"at": datetime(2026, 1, 1)},  # noqa: DTZ001  # that is the mistake
        {"at": datetime(1969, 12, 31, tzinfo=UTC)},
        {"at": datetime.min.replace(tzinfo=UTC)},
        {"at": datetime(2200, 1, 1, tzinfo=UTC)},
    ],
)
def test_a_deadline_that_no_clock_can_keep_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidReaction):
        Deadline("d", **wrong)


@pytest.mark.parametrize("name", ["", "a\x00b", "x" * 201, "a\ud800"])
def test_a_deadline_with_a_name_that_no_index_holds_is_refused(name: str) -> None:
    with pytest.raises(InvalidReaction):
        Deadline(name, after_s=1)
    with pytest.raises(InvalidReaction):
        CancelDeadline(name)


@pytest.mark.parametrize("key", ["", "a\x00b", "x" * 1_001, None, 7])
def test_a_course_needs_a_text_as_its_key(key: Any) -> None:
    steps = steps_of(Told(key=key))
    with pytest.raises(InvalidReaction, match="told"):
        steps.address(counting_factory(CATALOG).create(session("k")))


def test_what_is_no_reaction_is_refused() -> None:
    outcome = deciding(analysis_of("a")).when(session("k"))
    outcome.then_failed(InvalidReaction, "AnalysisStarted")


def test_a_deadline_that_a_course_never_set_cannot_pass() -> None:
    course = Course(address=Address("tests", "told", "k"))
    with pytest.raises(InvalidReaction, match="has not set"):
        steps_of(Told()).passed(course, DueDeadline("d", "nobody", FIRST_TIME))


class Cancelled(Told):
    """Raises what ends a task."""

    def decide(self, state: int, event: Event[Any]) -> Sequence[Reaction]:
        raise asyncio.CancelledError


def test_a_saga_that_raises_a_cancellation_has_failed_and_cancels_nobody() -> None:
    event = counting_factory(CATALOG).create(session("k"))
    course = Course(address=Address("tests", "told", "k"), taken_in=(event,))
    with pytest.raises(InvalidReaction, match="CancelledError"):
        steps_of(Cancelled()).passed(course, DueDeadline("d", event.id, FIRST_TIME))


async def test_an_event_that_was_taken_in_is_a_repeat_whatever_the_saga_says_today(
    tmp_path: Any,
) -> None:
    codec = Codec(CATALOG)
    store = MemorySagaStore(MemoryLog(), CATALOG, codec)
    journal = FileJournal(tmp_path / "journal.jsonl")
    event = counting_factory(CATALOG).create(session("k"))
    context: Any = None
    for saga in (Told(), Cancelled()):
        app = App("team")
        app.add_saga(saga)
        for listener in (no_listener, StepJournal(journal, codec)):
            running = SagaRunning("team", CATALOG, store, listener)
            (handler,) = running.prepared(app.workload("saga-told")).handlers
            await handler.function(event, context)
    course = await store.find(Address("team", "told", "k"))
    assert course is not None
    assert course.taken_in == (event,)
    journal.close()


def test_a_saga_needs_a_name_of_its_own_and_something_that_starts_it() -> None:
    class Nameless(Told):
        name = "Not A Name"

    class Startless(Told):
        started_by = ()

    app = App("team")
    app.add_saga(Told())
    for wrong, error in ((Nameless(), InvalidSaga), (Startless(), InvalidSaga)):
        with pytest.raises(error):
            app.add_saga(wrong)
    with pytest.raises(DuplicateName):
        app.add_saga(Told())
    assert app.subscriptions() == ("saga-told",)
    assert app.workload("saga-told").saga is app.sagas[0]
    assert app.workload().saga is None


def test_an_app_with_sagas_is_not_run_where_nothing_keeps_them() -> None:
    app = App("team")
    app.add_saga(Told())
    with pytest.raises(SagaStoreMissing):
        SagaRunning("team", CATALOG, None).prepared(app.workload("saga-told"))


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = datetime(2026, 6, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


async def test_a_worker_in_process_fires_deadlines_when_its_clock_says_so() -> None:
    app, log, clock = App("team"), MemoryLog(), Clock()
    app.add_saga(ProbeSaga(reply_s=60))
    codec, factory = Codec(CATALOG), counting_factory(CATALOG)
    worker = MemoryWorker(app, log, CATALOG, clock=clock)
    deliver(log, codec, factory.create(session("s-1")))
    await worker.run_until_idle()
    clock.now += timedelta(seconds=59)
    await worker.run_until_idle()
    assert "setup.session.failed" not in types_in(log, codec)
    clock.now += timedelta(seconds=1)
    await worker.run_until_idle()
    assert types_in(log, codec).count("setup.session.failed") == 1
    course = await worker.sagas.find(Address("team", "probe", "s-1"))
    assert course is not None
    assert course.status is SagaStatus.COMPLETED


async def test_in_process_a_reply_that_is_in_the_log_wins_over_a_deadline_that_is_due() -> None:
    app, log, clock = App("team"), MemoryLog(), Clock()
    app.add_saga(ProbeSaga(reply_s=60))
    codec, factory = Codec(CATALOG), counting_factory(CATALOG)
    worker = MemoryWorker(app, log, CATALOG, clock=clock)
    deliver(log, codec, factory.create(session("s-1")))
    await worker.run_until_idle()
    clock.now += timedelta(seconds=3_600)
    deliver(log, codec, factory.create(reply("s-1")))
    await worker.run_until_idle()
    assert "setup.session.completed" in types_in(log, codec)
    assert "setup.session.failed" not in types_in(log, codec)


class FailsOnce(ProbeSaga):
    """Cannot decide on what starts it, the first time."""

    def __init__(self) -> None:
        super().__init__()
        self.failures = 0

    def decide(self, state: int, event: Event[Any]) -> Sequence[Reaction]:
        if not self.failures:
            self.failures += 1
            raise ValueError("the saga cannot decide yet")
        return super().decide(state, event)


async def test_an_event_waits_behind_one_of_its_aggregate_that_failed_whatever_its_type() -> None:
    app, log = App("team"), MemoryLog()
    app.add_saga(FailsOnce())
    codec, factory = Codec(CATALOG), counting_factory(CATALOG)
    first, second = factory.create(session("s-1")), factory.create(reply("s-1"))
    assert (first.topic, first.key) == (second.topic, second.key)
    worker = MemoryWorker(app, log, CATALOG)
    for event in (first, second):
        deliver(log, codec, event)
    await worker.run_until_idle()
    course = await worker.sagas.find(Address("team", "probe", "s-1"))
    assert course is not None
    assert [event.id for event in course.taken_in] == [first.id, second.id]
    assert course.status is SagaStatus.COMPLETED


def deliver(log: MemoryLog, codec: Codec, event: Event[Any]) -> None:
    log.append(event_record(event, codec.encode(event)))


def types_in(log: MemoryLog, codec: Codec) -> list[str]:
    return [
        codec.view(record.value or b"").type
        for topic in all_events_topics()
        for record in log.topic(topic)
    ]


async def test_what_goes_out_with_a_step_is_journalled_and_again_when_its_cause_comes_again(
    tmp_path: Any,
) -> None:
    app, log, codec = App("team"), MemoryLog(), Codec(CATALOG)
    app.add_saga(ProbeSaga())
    journal = FileJournal(tmp_path / "journal.jsonl")
    store = MemorySagaStore(log, CATALOG, codec)
    running = SagaRunning("team", CATALOG, store, StepJournal(journal, codec))
    (handler, _) = running.prepared(app.workload("saga-probe")).handlers
    event = counting_factory(CATALOG).create(session("s-1"))
    context: Any = None
    await handler.function(event, context)
    await handler.function(event, context)
    part = read_journal(tmp_path / "journal.jsonl")
    ids = [codec.view(value).id for value in part.acknowledged]
    assert len(ids) == 4
    assert len(set(ids)) == 2
    journal.close()
    with pytest.raises(JournalFailed):
        await handler.function(event, context)


def test_the_kit_says_what_does_not_hold() -> None:
    story = SagaScenario(ProbeSaga()).given(session("s-1"))
    with pytest.raises(AssertionError, match="not waited for"):
        story.when_passed("nothing")
    with pytest.raises(AssertionError, match="other events"):
        story.when(reply("s-1")).then()
    with pytest.raises(AssertionError, match="other deadlines"):
        story.when(reply("s-1", success=False, reason="wait")).then()
    with pytest.raises(AssertionError, match="status"):
        story.when(reply("s-1")).then_status(SagaStatus.RUNNING)
    with pytest.raises(AssertionError, match="waited for"):
        story.when(reply("s-1", success=False, reason="wait")).then_waiting_for()
    with pytest.raises(AssertionError, match="taken in"):
        story.when(reply("s-1")).then_left_aside()
    with pytest.raises(AssertionError, match="another course"):
        story.when(reply("s-2"))
    with pytest.raises(AssertionError, match="state"):
        story.when(reply("s-1")).then_state(7)
    with pytest.raises(AssertionError, match="saga failed"):
        story.when(reply("s-1", success=False, reason="raise")).then()
    story.when(reply("s-1", success=False, reason="raise")).then_failed(ValueError, "decide")
    story.when_passed(REPLY, times=2).then_state(2)
