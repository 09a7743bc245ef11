"""Firing deadlines in a worker: it waits for its store, is woken, and never ends in silence."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from schemas.codec import Codec
from streams.app import App
from streams.errors import BrokerUnavailable
from streams.memory.log import MemoryLog
from streams.memory.sagas import MemorySagaStore
from streams.retry import RetrySchedule
from streams.runtime.running import Workings, pages_of
from streams.sagas.course import SagaName, SagaSteps
from streams.sagas.deadlines import LOOK_AGAIN_S, DeadlineFiring, FiringStatus
from streams.sagas.errors import FiringStopped
from streams.sagas.numbers import DeadlineNumbers
from streams.sagas.running import SagaRunning
from streams.sagas.store import DeadlineJudge, Fired
from streams.testing.events import counting_factory, packaged_catalog
from tests.contracts.probe_saga import ProbeSaga

CATALOG = packaged_catalog()
WAIT_S = 10.0


def steps_of(saga: ProbeSaga) -> SagaSteps[int]:
    return SagaSteps("tests", saga, counting_factory(CATALOG))


class ScriptedStore(MemorySagaStore):
    """A store that is away at first, then has a deadline that is due soon."""

    def __init__(self, outages: int, due_in_s: Sequence[float | None]) -> None:
        super().__init__(MemoryLog(), CATALOG, Codec(CATALOG))
        self.outages = outages
        self.answers = list(due_in_s)
        self.asked = asyncio.Condition()
        self.looks = 0
        self.until: list[datetime | None] = []

    async def fire(
        self, name: SagaName, judge: DeadlineJudge, limit: int, until: datetime | None = None
    ) -> Fired:
        self.until.append(until)
        if self.outages:
            self.outages -= 1
            raise BrokerUnavailable("away")
        return Fired()

    async def due_in_s(self, name: SagaName) -> float | None:
        async with self.asked:
            self.looks += 1
            self.asked.notify_all()
        return self.answers.pop(0) if self.answers else 0.0

    async def looked_at_least(self, times: int) -> None:
        async with asyncio.timeout(WAIT_S), self.asked:
            await self.asked.wait_for(lambda: self.looks >= times)


async def test_a_store_that_is_away_is_waited_for() -> None:
    store, stop = ScriptedStore(3, []), asyncio.Event()
    firing = DeadlineFiring(
        steps_of(ProbeSaga()), store, schedule=RetrySchedule(first_delay_s=0.001)
    )
    running = asyncio.create_task(firing.run(stop))
    await store.looked_at_least(5)
    stop.set()
    await running
    assert firing.status.waiting_for is None


async def test_it_is_looked_again_when_the_next_deadline_is_due_or_one_was_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streams.sagas.deadlines.LOOK_AGAIN_S", 1_000.0)
    store, stop = ScriptedStore(0, [0.01, 1000.0, 1000.0]), asyncio.Event()
    firing = DeadlineFiring(steps_of(ProbeSaga()), store)
    running = asyncio.create_task(firing.run(stop))
    await store.looked_at_least(2)
    firing.wake()
    await store.looked_at_least(3)
    stop.set()
    await running


async def test_pages_and_numbers_say_what_was_fired_and_what_is_waited_for() -> None:
    app, stop = App("team"), asyncio.Event()
    app.add_saga(ProbeSaga())
    store = ScriptedStore(1_000_000, [])
    running = SagaRunning("team", CATALOG, store)
    running.prepared(app.workload("saga-probe"))
    pages = pages_of(Workings(app="team", runs=[], deadlines=DeadlineNumbers(running.statuses)), [])
    assert pages.readiness.as_mapping()["paused"] == {}
    async with running.firing(stop):
        await store.looked_at_least(2)
        told = pages.live()["deadlines"]["team.saga-probe"]
        paused = pages.readiness.as_mapping()["paused"]
        samples = {(it.metric.name, *it.labels): it.value for it in await pages.metrics.scrape()}
    assert told == {
        "fired": 0,
        "failed": 0,
        "waiting_for": BrokerUnavailable.code,
        "is_behind": False,
    }
    assert paused["deadlines of team.saga-probe"]["reason"] == BrokerUnavailable.code
    assert samples["wundr_deadlines_paused", "team.saga-probe"] == 1
    assert samples["wundr_deadlines_fired_total", "team.saga-probe"] == 0
    assert samples["wundr_deadline_failures_total", "team.saga-probe"] == 0


class Behind:
    """A saga that has taken in what was sent before a time."""

    def __init__(self, until: datetime) -> None:
        self.until_then: datetime | None = until
        self.is_closed = False

    async def until(self) -> datetime | None:
        return self.until_then

    async def close(self) -> None:
        self.is_closed = True


async def test_what_is_due_waits_until_the_saga_has_taken_in_what_was_sent_before() -> None:
    intake = Behind(datetime(2026, 1, 1, tzinfo=UTC))
    store, stop = ScriptedStore(0, []), asyncio.Event()
    firing = DeadlineFiring(steps_of(ProbeSaga()), store, intake=intake)
    running = asyncio.create_task(firing.run(stop))
    await store.looked_at_least(2)
    assert firing.status == FiringStatus(is_behind=True)
    assert set(store.until) == {intake.until_then}
    intake.until_then = None
    await store.looked_at_least(4)
    assert firing.status == FiringStatus()
    assert store.until[-1] is None
    stop.set()
    await running
    assert intake.is_closed


async def test_while_the_saga_is_behind_it_is_looked_again_at_leisure() -> None:
    store = ScriptedStore(0, [])
    behind = DeadlineFiring(
        steps_of(ProbeSaga()), store, intake=Behind(datetime(2026, 1, 1, tzinfo=UTC))
    )
    assert await behind._fire() == LOOK_AGAIN_S
    assert await DeadlineFiring(steps_of(ProbeSaga()), store)._fire() < LOOK_AGAIN_S


class EndingStore(MemorySagaStore):
    """A store whose deadlines cannot be fired."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(MemoryLog(), CATALOG, Codec(CATALOG))
        self.error = error

    async def due_in_s(self, name: SagaName) -> float | None:
        return 0.0

    async def fire(
        self, name: SagaName, judge: DeadlineJudge, limit: int, until: datetime | None = None
    ) -> Fired:
        raise self.error


@pytest.mark.parametrize(
    ("error", "raised"),
    [(asyncio.CancelledError(), FiringStopped), (ValueError("broken"), ValueError)],
)
async def test_a_worker_whose_deadlines_are_fired_no_more_stops_and_says_why(
    error: BaseException, raised: type[Exception]
) -> None:
    app, stop = App("team"), asyncio.Event()
    app.add_saga(ProbeSaga())
    running = SagaRunning("team", CATALOG, EndingStore(error))
    running.prepared(app.workload("saga-probe"))
    with pytest.raises(raised):
        async with asyncio.timeout(WAIT_S), running.firing(stop):
            await stop.wait()
