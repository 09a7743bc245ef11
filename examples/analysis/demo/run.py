"""Runs the demonstration on a stack that is up.

Starts the processes, follows the events, takes the counts.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from connectors.errors import ConnectorsError
from connectors.postgres.migrations import migrate
from connectors.settings import PostgresSettings
from examples.analysis.app import app
from examples.analysis.demo.evidence import PROJECTIONS, collect, has_backlog
from examples.analysis.demo.letters import live_ids
from examples.analysis.demo.opening import USER, Opening
from examples.analysis.demo.places import Places
from examples.analysis.demo.plan import RELEASES, SHOWN_BY, producer_plans, service_plans
from examples.analysis.demo.repair import ChaosCounts, Repair, Unwatched, Watch
from examples.analysis.demo.settings import DemoSettings
from examples.analysis.demo.summary import Summary
from examples.analysis.demo.waiting import ProcessNotReady, until
from examples.analysis.reckoning import (
    EVERY_EVENT,
    Reckoning,
    Tables,
    difference,
    reckon,
    shown_in,
    total,
)
from gateway.tokens import mint
from infra.supervisor import Supervisor
from schemas.errors import WundrError
from schemas.event import EventFactory

READY_S: Final = 60.0
"""How long a process may take to answer for the first time."""

TOKEN_LIFE: Final = timedelta(hours=12)

ASK_S: Final = 0.1
"""How often a process that starts is asked whether it is ready."""

LOOK_S: Final = 0.5
"""How often the counts are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What has arrived by now; `unfinished` counts records that workers have in hand."""

    acknowledged: int = 0
    stored: int = 0
    projected: int = 0
    delivered: int = 0
    expected_delivered: int = 0
    files: int = 0
    unfinished: int = 0


Follow = Callable[[Counts], None]
"""Shown the counts whenever they were taken."""


class Demonstration:
    """One run: `start`, then `run`; `reckon` counts again at any time."""

    def __init__(self, settings: DemoSettings, at: Places, supervisor: Supervisor) -> None:
        self._settings = settings
        self._at = at
        self._supervisor = supervisor
        self._tables_before: Tables = {}
        self._letters_before: frozenset[str] = frozenset()

    async def start(self) -> None:
        """Start the processes and wait for them.

        What an earlier run has left is finished first, so that it is not counted in this one.
        Raises ProcessNotReady.
        """
        settings = self._settings
        plans = service_plans(settings.folders, settings.environment, settings.gateway.port)
        for plan in plans:
            if plan.name in SHOWN_BY:
                self._supervisor.start(plan)
        await asyncio.gather(
            until(
                self._at.workers.are_ready,
                within_s=READY_S,
                every_s=ASK_S,
                what="the workers did not get their partitions",
            ),
            self._connect(),
            # Producers append, whichever of sink and relay comes to it first.
            migrate(PostgresSettings(dsn=settings.endpoints.postgres_dsn)),
        )
        for plan in plans:
            if plan.name not in SHOWN_BY:
                self._supervisor.start(plan)
        await until(
            self._is_caught_up,
            within_s=READY_S,
            every_s=LOOK_S,
            what="the workers did not finish what an earlier run had left",
        )
        self._tables_before = await self._at.workers.tables(PROJECTIONS)
        self._letters_before = await live_ids(settings.kafka)

    async def run(self, follow: Follow, watch: Watch | None = None) -> Summary:
        """From the first event to the last count; `follow` is shown the counts as they grow.

        Where events are poisoned, `watch` is shown how they are mended.

        Raises ProcessNotReady and what publishing raises.
        """
        settings = self._settings
        opening = Opening(
            factory=EventFactory(self._at.application.catalog, "analysis-demo"),
            run_id=settings.folders.run_id,
            plans=settings.plans,
        )
        receipts = await self._at.application.bus.publish_batch(list(opening.begin()))
        for plan in producer_plans(settings.folders, settings.environment, settings.root):
            self._supervisor.start(plan)
        for receipt in receipts:
            await receipt
        producing = asyncio.create_task(self._produced(opening))
        repairing = asyncio.create_task(self._repaired(watch or Unwatched(), producing.done))
        try:
            reckoning = await self._until_whole(follow, producing, repairing)
            left = await live_ids(settings.kafka) - self._letters_before
            return self._summary(reckoning, len(left), repairing.result())
        finally:
            producing.cancel()
            repairing.cancel()
            await asyncio.wait({producing, repairing})

    async def reckon(self) -> Reckoning:
        """The exact sums as they are now; raises a retryable error while a place is away."""
        evidence = await collect(self._settings, self._at, self._tables_before)
        return reckon(evidence, app.projections, self._at.application.catalog)

    async def _is_caught_up(self) -> bool:
        return not await has_backlog(self._settings, self._at)

    async def _connect(self) -> None:
        settings = self._settings
        token = mint(settings.gateway, USER, settings.rooms, TOKEN_LIFE)
        self._at.client.subscribe("*", self._at.screen.show)
        try:
            async with asyncio.timeout(READY_S):
                await self._at.client.connect(settings.gateway_url, token)
        except TimeoutError:
            raise ProcessNotReady(
                f"the gateway at {settings.gateway_url} does not answer"
            ) from None
        await self._at.client.join(settings.rooms)

    async def _produced(self, opening: Opening) -> None:
        """Wait for both producers, then publish that the run is over."""
        codes = await asyncio.gather(
            *(self._supervisor.finished(f"producer-{release}") for release in RELEASES)
        )
        if any(codes):
            raise ProcessNotReady(
                f"a producer ended with {codes}; its log is below {self._settings.folders.run}"
            )
        await (await self._at.application.bus.publish(opening.end(self._settings.files)))

    async def _repaired(self, watch: Watch, is_produced: Callable[[], bool]) -> ChaosCounts | None:
        """Mend what was broken on purpose, if anything was."""
        poison = self._settings.poison
        if poison is None:
            return None
        repair = Repair(self._settings, poison, self._letters_before)
        return await repair.run(watch, is_produced)

    async def _until_whole(self, follow: Follow, *before: asyncio.Task[Any]) -> Reckoning:
        """Look until the counts stand still after what comes before has ended, then reckon.

        Again while it is not whole, for a bounded time.
        """
        last_change = time.monotonic()
        previous: Counts | None = None
        while True:
            await asyncio.sleep(LOOK_S)
            counts = await self._counts(previous or Counts())
            follow(counts)
            for task in before:
                if task.done():
                    task.result()
            if counts != previous or not all(task.done() for task in before):
                previous, last_change = counts, time.monotonic()
                continue
            is_late = time.monotonic() - last_change > self._settings.stalled_s
            reckoning = await self._try_to_reckon(is_late=is_late)
            if reckoning and (is_late or (reckoning.is_whole and counts.unfinished == 0)):
                return reckoning

    async def _try_to_reckon(self, *, is_late: bool) -> Reckoning | None:
        """The sums, or None when a place is away at the moment; a late one is an error."""
        try:
            return await self.reckon()
        except WundrError as error:
            if is_late or not error.retryable:
                raise
            return None

    async def _counts(self, last: Counts) -> Counts:
        """The present counts; a place that is away at the moment keeps its previous count."""
        try:
            tables = await self._at.workers.tables((EVERY_EVENT,))
            projected = total(difference(tables, self._tables_before).get(EVERY_EVENT, {}))
            unfinished = await self._at.workers.unfinished()
        except ProcessNotReady:
            projected, unfinished = last.projected, 1
        try:
            stored = len(await self._at.application.store.stored_ids(self._settings.folders.run_id))
        except ConnectorsError as error:
            if not error.retryable:
                raise
            stored = last.stored
        acknowledged = self._at.journals.look()
        expected = shown_in(
            frozenset(self._settings.rooms),
            self._at.journals.events.values(),
            self._at.application.catalog,
        )
        return Counts(
            acknowledged=acknowledged,
            stored=stored,
            projected=projected,
            delivered=len(self._at.screen.shown),
            expected_delivered=len(expected),
            files=self._at.screen.files,
            unfinished=unfinished,
        )

    def _summary(
        self, reckoning: Reckoning, dead_letters: int, chaos: ChaosCounts | None
    ) -> Summary:
        settings = self._settings
        return Summary(
            files=settings.files,
            published=self._at.journals.published,
            acknowledged=reckoning.acknowledged,
            stored=reckoning.stored,
            projected=reckoning.projected,
            delivered=reckoning.delivered,
            expected_delivered=reckoning.expected_delivered,
            redelivered=self._at.client.deliveries.repeats_dropped,
            lost=reckoning.lost,
            duplicates=reckoning.duplicates,
            dead_letters=dead_letters,
            seconds_to_first_event=self._at.screen.first_event_s,
            seconds=time.monotonic() - settings.began,
            console_url=settings.gateway_url,
            chaos=chaos,
        )
