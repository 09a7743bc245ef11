"""Runs subscriptions until they are told to stop or cannot go on; their pages answer meanwhile."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import structlog

from schemas.envelope import Priority
from schemas.key_ring import KeyRing
from schemas.topics import priority_of
from streams.alerts import AlertHook
from streams.breaker_numbers import BreakerNumbers
from streams.breakers import Breakers
from streams.control import Control
from streams.event_metrics import event_metrics
from streams.keyed_lane import KeyedLane
from streams.lane import Lanes, OpenLane
from streams.pages import LOOPBACK, Pages, note, noted
from streams.parking.lot import ParkingLot
from streams.parking.redoing import Redo
from streams.processor import Process
from streams.runtime.consumer import COMMIT_DEADLINE_S, DRAIN_DEADLINE_S, GOODBYE_DEADLINE_S
from streams.runtime.errors import LanesNeedNoTables
from streams.runtime.health import CountingProcess, Run, live_page, paused
from streams.runtime.http import WorkerPages
from streams.runtime.member import GroupMember
from streams.runtime.projection_pages import StoredProjections
from streams.runtime.stall_watch import show_stalls
from streams.runtime.table_recovery import DEADLINE_S
from streams.runtime.views import MemberTables
from streams.runtime.watch import Watch, WatchSettings
from streams.runtime.worker_metrics import WorkerMetrics
from streams.sagas.numbers import DeadlineNumbers
from streams.serial_lane import SerialLane
from streams.settings import KafkaSettings
from streams.stall import STALL_AFTER_S
from streams.table_store import TableStore
from streams.tracing import Tracing
from streams.turns import Pace
from streams.work_metrics import WorkMetrics

WATCH_S: Final = 0.2
"""How often a worker looks whether one of its parts has stopped."""

LEAVE_DEADLINE_S: Final = DRAIN_DEADLINE_S + COMMIT_DEADLINE_S + GOODBYE_DEADLINE_S + 1.0
"""How long a worker may drain, commit and say goodbye before it ends all the same."""

EVERY_LANE: Final = frozenset(Priority)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """Where a worker finds Kafka, what it works on, and where it leaves its traces.

    No `subscriptions` means all of the app. `lanes` are the priorities that it reads: fewer than
    all only for subscriptions without tables. A worker with an `instance` name that comes back
    within the session timeout keeps its partitions. `http_port` 0 takes a free one; at `http_host`
    the other workers ask it, too. With a `store` on disk each worker of a machine needs an
    `instance` name or a `data_dir` of its own, and `log_ids`: the broker's id of each changelog, by
    which a store knows the log that it follows. With `rebuilds_tables` it folds the archive anew
    into each partition of its tables that it gets, once. `run_file` tells where its pages are and
    stays, `note` goes with the worker. `keys` seal and open personal fields. `alert_hooks` tell of
    failing events, beside the log and the event `system.alert.raised`. With `tracing` what is
    published and handled has spans.
    """

    kafka: KafkaSettings
    data_dir: Path
    subscriptions: tuple[str, ...] = ()
    lanes: frozenset[Priority] = EVERY_LANE
    instance: str | None = None
    store: TableStore = TableStore.MEMORY
    log_ids: Mapping[str, str] = field(default_factory=dict)
    recovery_deadline_s: float = DEADLINE_S
    rebuilds_tables: bool = False
    http_host: str = LOOPBACK
    http_port: int = 0
    run_file: Path | None = None
    note: Path | None = None
    journal: Path | None = None
    keys: KeyRing | None = None
    alert_hooks: tuple[AlertHook, ...] = ()
    stall_after_s: float = STALL_AFTER_S
    restart_when_stalled: bool = False
    tracing: Tracing | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """What a worker works on: the topics, the tables (changelog by name)."""

    app: str
    name: str
    topics: Sequence[str]
    tables: Mapping[str, str] = field(default_factory=dict)
    concurrency: int = 1

    @property
    def group(self) -> str:
        """The consumer group."""
        return f"{self.app}.{self.name}"

    def topics_of(self, lanes: frozenset[Priority]) -> Sequence[str]:
        """The topics of some priorities. Raises LanesNeedNoTables where that is not possible."""
        if lanes == EVERY_LANE:
            return self.topics
        if self.tables:
            raise LanesNeedNoTables(f"{self.group} has the tables {', '.join(self.tables)}")
        return [topic for topic in self.topics if priority_of(topic) in lanes]


class Processor(Process, Redo, Protocol):
    """Works on records, and once more on those that have failed."""


def prepared(
    subscription: Subscription,
    member: GroupMember,
    processor: Processor,
    lot: ParkingLot,
    pace: Pace,
    metrics: WorkMetrics,
) -> Run:
    """A subscription with all that it needs, not started yet."""
    process = CountingProcess(processor, metrics)
    lanes = Lanes(_lanes_of(subscription, process, pace))
    member.read_into(lanes, subscription.topics, lot, processor)
    return Run(
        name=subscription.name,
        member=member,
        lanes=lanes,
        process=process,
        lot=lot,
        metrics=metrics,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Workings:
    """What a worker runs, and what steers it: its breakers, and orders from outside.

    `deadlines` are those of its sagas.
    """

    app: str
    runs: Sequence[Run]
    breakers: Breakers = field(default_factory=Breakers)
    control: Control | None = None
    deadlines: DeadlineNumbers = field(default_factory=DeadlineNumbers)


def pages_of(workings: Workings, known_types: Collection[str]) -> Pages:
    """The pages of a worker; parts of it may add to them before it runs."""
    app, runs, breakers = workings.app, workings.runs, workings.breakers
    pages = Pages(lambda: live_page(app, runs, breakers.status))
    work = [run.metrics for run in runs]
    pages.show(lambda: {"metrics": event_metrics(work, breakers.states()).as_mapping()})
    deadlines = workings.deadlines
    pages.readiness.show(lambda: {"paused": {**paused(runs), **deadlines.paused()}})
    pages.show(deadlines.facts)
    for run in runs:
        pages.readiness.add(f"subscription {run.name}", run.not_ready)
    metrics = WorkerMetrics(runs, known_types)
    pages.metrics.before_scrape(metrics.ask_ends)
    pages.metrics.add(metrics)
    pages.metrics.add(BreakerNumbers(breakers.states))
    pages.metrics.add(deadlines)
    return pages


async def run_all(
    workings: Workings,
    settings: WorkerSettings,
    stop: asyncio.Event,
    shown: Pages,
    stored: StoredProjections | None = None,
) -> None:
    """Join, work, drain, leave. When one cannot go on, all stop.

    Raises WorkerFailed, or WorkerStalled where the settings ask for it.
    """
    app, runs = workings.app, workings.runs
    watch = Watch(
        runs,
        WatchSettings(
            kafka=settings.kafka,
            stall_after_s=settings.stall_after_s,
            restart_when_stalled=settings.restart_when_stalled,
        ),
    )
    with_tables = next((run.member for run in runs if run.member.tables), runs[0].member)
    show_stalls(watch.stall_watch, shown)
    pages = WorkerPages(shown, MemberTables(with_tables), stored)
    port = await pages.start(settings.http_port, settings.http_host)
    url = f"http://{settings.http_host}:{port}"
    for run in runs:
        run.member.answer_at(url)
    try:
        if settings.run_file is not None:
            note(settings.run_file, settings.http_host, port)
        log.info("worker starting", app=app, url=f"{url}/live")
        with noted(settings.note, settings.http_host, port):
            async with watch:
                await _until_stopped(workings, watch, stop)
        log.info("worker stopped", app=app, processed=sum(run.process.processed for run in runs))
    finally:
        await pages.close()


def _lanes_of(subscription: Subscription, process: Process, pace: Pace) -> OpenLane:
    if subscription.concurrency > 1:
        return partial(KeyedLane, process, pace, subscription.concurrency)
    return partial(SerialLane, process, pace)


async def _until_stopped(workings: Workings, watch: Watch, stop: asyncio.Event) -> None:
    """Run the members; they are drained and leave their groups in every case."""
    runs = workings.runs
    starting = [asyncio.create_task(run.member.start(), name="group member") for run in runs]
    try:
        while not stop.is_set():
            for task in starting:
                if task.done():
                    task.result()
            for run in runs:
                run.member.raise_failure()
            if workings.control is not None:
                workings.control.raise_failure()
            watch.raise_failure()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), WATCH_S)
    finally:
        await asyncio.gather(*(_leave(run.member) for run in runs))
        for task in starting:
            task.cancel()
        await asyncio.wait(starting)


async def _leave(member: GroupMember) -> None:
    try:
        await asyncio.wait_for(member.stop(), LEAVE_DEADLINE_S)
    except TimeoutError:
        log.warning("the group was left without a goodbye", deadline_s=LEAVE_DEADLINE_S)
