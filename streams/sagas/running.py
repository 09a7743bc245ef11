"""The sagas of a worker: their handlers, and what fires their deadlines beside them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial

import structlog

from schemas.catalog import Catalog
from schemas.event import EventFactory
from streams.app import App
from streams.sagas.course import SagaSteps, subscription_of
from streams.sagas.deadlines import DeadlineFiring, FiringStatus
from streams.sagas.errors import FiringStopped, SagaStoreMissing
from streams.sagas.handling import SagaHandling, StepListener, no_listener
from streams.sagas.intake import Intake, WholeIntake
from streams.sagas.store import SagaStore
from streams.workload import Workload

log = structlog.get_logger(__name__)


def _whole_intake(_workload: Workload) -> Intake:
    return WholeIntake()


class SagaRunning:
    """Adds to workloads what their sagas need."""

    def __init__(
        self,
        app: str,
        catalog: Catalog,
        store: SagaStore | None,
        on_step: StepListener = no_listener,
        intake_of: Callable[[Workload], Intake] = _whole_intake,
    ) -> None:
        """`intake_of`: what the saga of a workload has taken in, which deadlines wait for."""
        self._app = app
        self._factory = EventFactory(catalog, app)
        self._store = store
        self._on_step = on_step
        self._intake_of = intake_of
        self._firing: dict[str, DeadlineFiring] = {}

    def prepared(self, workload: Workload) -> Workload:
        """The workload with the handlers of its saga, if it has one. Raises SagaStoreMissing."""
        if workload.saga is None:
            return workload
        if self._store is None:
            raise SagaStoreMissing(f"{workload.group} has nowhere to keep its courses")
        steps = SagaSteps(self._app, workload.saga, self._factory)
        group = workload.group
        handling = SagaHandling(
            steps,
            self._store,
            on_step=self._on_step,
            on_deadline=partial(self._wake, group),
        )
        handled = workload.handled_by(handling.handlers())
        self._firing[group] = DeadlineFiring(
            steps, self._store, intake=self._intake_of(handled), on_step=self._on_step
        )
        return handled

    def _wake(self, group: str) -> None:
        self._firing[group].wake()

    def workloads(self, app: App) -> Sequence[Workload]:
        """The subscriptions of all sagas of an app."""
        return [self.prepared(app.workload(subscription_of(saga.name))) for saga in app.sagas]

    @property
    def statuses(self) -> Mapping[str, FiringStatus]:
        """What can be said of the deadlines of each saga, by its consumer group."""
        return {group: firing.status for group, firing in self._firing.items()}

    async def fire_due(self) -> int:
        """Fire what is due once; how many deadlines that was. For workers that go step by step."""
        return sum([await firing.fire_due() for firing in self._firing.values()])

    @asynccontextmanager
    async def firing(self, stop: asyncio.Event) -> AsyncIterator[None]:
        """Fire deadlines while the block runs; when that cannot go on, `stop` is set.

        What it could not go on for is raised behind the block; FiringStopped where a cancellation
        has ended it that was not the worker's.
        """
        ended = asyncio.Event()
        tasks = [
            asyncio.create_task(self._until_failed(firing, ended, stop), name="saga deadlines")
            for firing in self._firing.values()
        ]
        try:
            yield
        finally:
            ended.set()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, asyncio.CancelledError):
                raise FiringStopped("the task that fires deadlines was cancelled") from outcome
            if outcome is not None:
                raise outcome

    @staticmethod
    async def _until_failed(
        firing: DeadlineFiring, ended: asyncio.Event, stop: asyncio.Event
    ) -> None:
        try:
            await firing.run(ended)
        except BaseException:
            # Whatever it was: a worker that fires nothing any more must not look healthy.
            log.exception("deadlines cannot be fired any more")
            stop.set()
            raise
