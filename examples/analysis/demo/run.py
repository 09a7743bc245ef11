"""Runs the demonstration on a stack that is up.

Starts the processes, follows the events, takes the counts.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import aiohttp

from connectors.errors import ConnectorsError
from examples.analysis.app import app
from examples.analysis.connection import Connection, connect
from examples.analysis.demo.evidence import (
    Journals,
    ProcessNotReady,
    address_of,
    end_of,
    is_ready,
    unfinished_records,
    worker_tables,
)
from examples.analysis.demo.opening import USER, Opening
from examples.analysis.demo.plan import (
    RELEASES,
    WORKERS,
    DemoFolders,
    producer_plans,
    service_plans,
)
from examples.analysis.demo.summary import Summary
from examples.analysis.plan import PackagePlan, projects_of
from examples.analysis.reckoning import (
    EVERY_EVENT,
    Evidence,
    Reckoning,
    Tables,
    difference,
    reckon,
    total,
)
from gateway.client import BrowserEvent, GatewayClient
from gateway.settings import GatewaySettings
from gateway.tokens import mint
from infra.stack.endpoints import Endpoints
from infra.supervisor import Supervisor
from schemas.errors import WundrError
from schemas.event import EventFactory
from schemas.topics import dead_letter_topic
from streams.platform.processor import PLATFORM_APP
from streams.settings import KafkaSettings

READY_S: Final = 60.0
"""How long a process may take to answer for the first time."""

STALLED_S: Final = 30.0
"""How long counts may stand still before the run is judged as it is."""

TOKEN_LIFE: Final = timedelta(hours=12)

LOOK_S: Final = 0.5
"""How often the counts are looked at."""

PROJECTIONS: Final = tuple(projection.name for projection in app.projections)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSettings:
    """What a run is given."""

    endpoints: Endpoints
    folders: DemoFolders
    root: Path
    plans: Sequence[PackagePlan]
    gateway: GatewaySettings
    environment: Mapping[str, str]
    began: float
    """When the command began, on the monotonic clock in seconds."""

    @property
    def kafka(self) -> KafkaSettings:
        """How the demonstration itself reaches Kafka."""
        return KafkaSettings(bootstrap=self.endpoints.kafka_bootstrap)


@dataclass(slots=True)
class Screen:
    """What a connected client has shown: event ids in order, and when the first came."""

    began: float
    shown: list[str]
    first_event_s: float | None = None
    files: int = 0

    def show(self, event: BrowserEvent) -> None:
        """One event reached the client."""
        if self.first_event_s is None:
            self.first_event_s = time.monotonic() - self.began
        self.shown.append(event["id"])
        self.files += event["type"] == "analysis.file.processed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What has arrived by now; `unfinished` counts records that workers have in hand."""

    acknowledged: int = 0
    stored: int = 0
    projected: int = 0
    delivered: int = 0
    files: int = 0
    unfinished: int = 0


Follow = Callable[[Counts], None]
"""Shown the counts whenever they were taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Connections to everything that a run is counted at."""

    application: Connection
    http: aiohttp.ClientSession
    client: GatewayClient


@asynccontextmanager
async def places(settings: DemoSettings) -> AsyncIterator[Places]:
    """Connect to the bus, the store, HTTP and the gateway; let go of all at the end."""
    client = GatewayClient()
    journal = settings.folders.journal("demo")
    try:
        async with (
            connect(settings.endpoints, "analysis-demo", journal) as application,
            aiohttp.ClientSession() as http,
        ):
            yield Places(application=application, http=http, client=client)
    finally:
        await client.close()


class Demonstration:
    """One run. `follow` is shown the counts while they grow."""

    def __init__(self, settings: DemoSettings, to: Places, supervisor: Supervisor) -> None:
        self._settings = settings
        self._to = to
        self._supervisor = supervisor
        self._screen = Screen(settings.began, [])
        self._journals = Journals(settings.folders.journals, to.application.codec)
        self._rooms = [
            "system",
            f"user.{USER}",
            *(f"project.{project}" for project in projects_of(settings.plans)),
        ]

    @property
    def console_url(self) -> str:
        """Where the live page is."""
        return f"http://{self._settings.gateway.host}:{self._settings.gateway.port}"

    async def run(self, follow: Follow) -> Summary:
        """From the first process to the last count.

        Raises ProcessNotReady and what publishing raises.
        """
        settings = self._settings
        dead_before = await self._dead_letters()
        for plan in service_plans(settings.folders, settings.environment, settings.gateway.port):
            self._supervisor.start(plan)
        await asyncio.gather(*(self._answers(name) for name in WORKERS), self._connect())
        before = await worker_tables(self._to.http, self._workers(), PROJECTIONS)
        opening = self._opening()
        receipts = await self._to.application.bus.publish_batch(list(opening.begin()))
        for plan in producer_plans(settings.folders, settings.environment, settings.root):
            self._supervisor.start(plan)
        for receipt in receipts:
            await receipt
        reckoning = await self._until_whole(before, follow, opening)
        return self._summary(reckoning, await self._dead_letters() - dead_before)

    async def _connect(self) -> None:
        settings = self._settings
        token = mint(settings.gateway, USER, self._rooms, TOKEN_LIFE)
        self._to.client.subscribe("*", self._screen.show)
        try:
            async with asyncio.timeout(READY_S):
                await self._to.client.connect(self.console_url, token)
        except TimeoutError:
            raise ProcessNotReady(f"the gateway at {self.console_url} does not answer") from None
        await self._to.client.join(self._rooms)

    async def _produced(self, opening: Opening) -> None:
        """Wait for both producers, then publish that the run is over."""
        codes = await asyncio.gather(
            *(self._supervisor.finished(f"producer-{release}") for release in RELEASES)
        )
        if any(codes):
            raise ProcessNotReady(
                f"a producer ended with {codes}; its log is below {self._settings.folders.run}"
            )
        files = sum(len(plan.files) for plan in self._settings.plans)
        await (await self._to.application.bus.publish(opening.end(files)))

    async def _until_whole(self, before: Tables, follow: Follow, opening: Opening) -> Reckoning:
        """Look until the counts stand still after the producers ended, then reckon.

        Again while it is not whole.
        """
        producing = asyncio.create_task(self._produced(opening))
        last_change = time.monotonic()
        previous: Counts | None = None
        while True:
            await asyncio.sleep(LOOK_S)
            counts = await self._counts(before, previous)
            follow(counts)
            if counts != previous or not producing.done():
                previous, last_change = counts, time.monotonic()
                continue
            await producing
            reckoning = await self._reckon(before)
            if reckoning is not None and reckoning.is_whole and counts.unfinished == 0:
                return reckoning
            if time.monotonic() - last_change > STALLED_S:
                if reckoning is None:
                    raise ProcessNotReady("a place does not answer, so the counts cannot be taken")
                return reckoning

    async def _counts(self, before: Tables, previous: Counts | None) -> Counts:
        """The present counts; a place that is away at the moment keeps its previous count."""
        last = previous or Counts()
        try:
            tables = await worker_tables(self._to.http, self._workers(), (EVERY_EVENT,))
            projected = total(difference(tables, before).get(EVERY_EVENT, {}))
            unfinished = await unfinished_records(self._to.http, self._workers())
        except ProcessNotReady:
            projected, unfinished = last.projected, 1
        try:
            stored = len(await self._to.application.store.stored_ids(self._settings.folders.run_id))
        except ConnectorsError as error:
            if not error.retryable:
                raise
            stored = last.stored
        return Counts(
            acknowledged=self._journals.look(),
            stored=stored,
            projected=projected,
            delivered=len(self._screen.shown),
            files=self._screen.files,
            unfinished=unfinished,
        )

    async def _reckon(self, before: Tables) -> Reckoning | None:
        """The exact sums; None when a place does not answer at the moment."""
        self._journals.look()
        try:
            tables = await worker_tables(self._to.http, self._workers(), PROJECTIONS)
            stored = await self._to.application.store.stored_ids(self._settings.folders.run_id)
        except WundrError as error:
            if not error.retryable:
                raise
            return None
        return reckon(
            Evidence(
                acknowledged=tuple(self._journals.events.values()),
                stored=stored,
                tables=difference(tables, before),
                shown=tuple(self._screen.shown),
                rooms=frozenset(self._rooms),
            ),
            app.projections,
            self._to.application.catalog,
        )

    def _workers(self) -> list[str]:
        return [address_of(self._settings.folders.run_file(name)) for name in WORKERS]

    async def _answers(self, name: str) -> None:
        """Wait until a process is ready; its run file appears when it listens."""
        deadline = time.monotonic() + READY_S
        while True:
            try:
                address = address_of(self._settings.folders.run_file(name))
                if await is_ready(self._to.http, address):
                    return
            except ProcessNotReady:
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(LOOK_S / 5)

    async def _dead_letters(self) -> int:
        return await end_of(
            self._settings.kafka, [dead_letter_topic(name) for name in (app.name, PLATFORM_APP)]
        )

    def _opening(self) -> Opening:
        settings = self._settings
        return Opening(
            factory=EventFactory(self._to.application.catalog, "analysis-demo"),
            run_id=settings.folders.run_id,
            plans=settings.plans,
        )

    def _summary(self, reckoning: Reckoning, dead_letters: int) -> Summary:
        settings = self._settings
        return Summary(
            files=sum(len(plan.files) for plan in settings.plans),
            published=reckoning.acknowledged,
            acknowledged=reckoning.acknowledged,
            stored=reckoning.stored,
            projected=reckoning.projected,
            delivered=reckoning.delivered,
            expected_delivered=reckoning.expected_delivered,
            redelivered=self._to.client.deliveries.repeats_dropped,
            lost=reckoning.lost,
            duplicates=reckoning.duplicates,
            dead_letters=dead_letters,
            seconds_to_first_event=self._screen.first_event_s,
            seconds=time.monotonic() - settings.began,
            console_url=self.console_url,
        )
