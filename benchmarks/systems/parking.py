"""Our worker whose handler fails for everything, until it is mended and all is redriven."""

from __future__ import annotations

import asyncio
import gc
import json
import time

import aiohttp

from benchmarks.contract import MODULUS, Measurement, RunConfig, event_sum, peak_memory
from benchmarks.progress import MEBIBYTE, resident_memory
from benchmarks.systems.controlled import app_name, run_controlled, run_file
from benchmarks.systems.worker import PARTITIONS
from schemas.event import Event
from schemas.events.integration import IntegrationRepositorySynced
from streams.app import App
from streams.context import Context
from streams.kafka.fetcher import KafkaFetcher
from streams.kafka.sender import KafkaSender
from streams.parking.letter import LetterState
from streams.parking.loading import load_entries
from streams.parking.orders import Order, OrderKind
from streams.policies import DeadLetter, Retry
from streams.settings import KafkaSettings

LOOK_S = 0.05


class ParkingRun:
    """Told of every try; says how long parking and redriving took, and what was held meanwhile."""

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._parked = config.options["parked"]
        self._sum = 0
        self._handled = 0
        self._failed = 0
        self._began = time.monotonic()
        self._cpu_began = time.process_time()
        self._metrics: dict[str, float] = {}
        self.is_mended = False

    def take(self, event_type: str, aggregate_id: str, number: int) -> None:
        """A try; it fails for as long as nothing is mended."""
        if not self.is_mended:
            self._failed += 1
            if self._failed == 1:
                gc.collect()
                self._resident = resident_memory()
                self._began = time.monotonic()
            raise ValueError("not mended yet")
        self._sum += event_sum(event_type, aggregate_id, number)
        self._handled += 1

    async def conduct(self) -> None:
        """Returns when all has been parked, redriven and handled."""
        behind = self._config.events - self._parked
        await self._until({"waiting": 0, "parked": self._parked, "behind": behind})
        self._metrics["parked_per_s"] = self._config.events / (time.monotonic() - self._began)
        self._metrics["parked_mib"] = (resident_memory() - self._resident) / MEBIBYTE
        kafka = KafkaSettings(bootstrap=self._config.bootstrap, partitions=PARTITIONS)
        orders = await self._orders(kafka)
        self.is_mended = True
        sender = KafkaSender(kafka)
        await sender.start()
        began = time.monotonic()
        for order in orders:
            await sender.send(order.encode())
        await sender.close()
        await self._until({"waiting": 0, "parked": 0, "behind": 0})
        self._metrics["redriven_per_s"] = self._config.events / (time.monotonic() - began)

    def measurement(self) -> Measurement:
        """Raises ValueError when something was not handled, or more than once."""
        if self._handled != self._config.events:
            raise ValueError(f"{self._handled} of {self._config.events} events were handled")
        return Measurement(
            events=self._config.events,
            seconds=time.monotonic() - self._began,
            cpu_seconds=time.process_time() - self._cpu_began,
            checksum=self._sum % MODULUS,
            rss_bytes=peak_memory(),
            metrics=self._metrics,
        )

    async def _orders(self, kafka: KafkaSettings) -> list[Order]:
        app = app_name(self._config)
        entries = await load_entries(
            lambda: KafkaFetcher(kafka), app, self._config.group, range(PARTITIONS)
        )
        return [
            Order(app=app, letter_id=entry.letter.id, kind=OrderKind.REDRIVE)
            for entry in entries
            if entry.letter.state is LetterState.PARKED
        ]

    async def _until(self, backlog: dict[str, int]) -> None:
        async with aiohttp.ClientSession() as session:
            while await self._backlog(session) != backlog:  # noqa: ASYNC110  # what /live says
                await asyncio.sleep(LOOK_S)

    async def _backlog(self, session: aiohttp.ClientSession) -> object:
        path = run_file(self._config)
        if not path.exists():
            return None
        port = json.loads(path.read_text())["port"]
        async with session.get(f"http://127.0.0.1:{port}/live") as response:
            return (await response.json())["subscriptions"]["main"]["backlog"]


def main() -> None:
    """Measure and print."""
    config = RunConfig.from_arguments()
    run = ParkingRun(config)
    app = App(app_name(config))

    @app.on(IntegrationRepositorySynced, policies=(Retry(tries=1), DeadLetter()))
    async def on_synced(event: Event[IntegrationRepositorySynced], context: Context) -> None:
        aggregate = event.aggregate
        run.take(event.type, aggregate.id if aggregate else "", event.data.files)

    run_controlled(app, config, run.conduct)
    run.measurement().print()


if __name__ == "__main__":
    main()
