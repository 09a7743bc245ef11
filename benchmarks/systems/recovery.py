"""Our worker with a table: filled once from events, then recovered from its changelog alone."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import aiohttp

from benchmarks.contract import MODULUS, Measurement, RunConfig, peak_memory
from benchmarks.repositories import FROM_ASSIGNMENT_CPU_S, FROM_ASSIGNMENT_S
from benchmarks.systems.controlled import app_name, run_controlled, run_file
from schemas.event import Event
from streams.app import App
from streams.projection import State

TABLE = "files"
LOOK_S = 0.02
LEAST_UNSEEN = 0.98
"""Share of a recovery that must be left when it is first seen: else its begin is not known."""
LONGEST_FILL_S = 75.0
"""A table that takes longer is measured as far as it got: rates are per key."""


@dataclass(slots=True)
class Filled:
    """How many events the table has taken in."""

    events: int = 0


def build(config: RunConfig, filled: Filled) -> App:
    """An app that counts and sums per repository."""
    app = App(app_name(config))

    @app.projection(TABLE, on=["integration.repository.synced"], initial=nothing_yet)
    def total(state: State, event: Event[Any]) -> State:
        filled.events += 1
        return {"events": state["events"] + 1, "files": state["files"] + event.data.files}

    return app


def nothing_yet() -> State:
    """Nothing was counted yet."""
    return {"events": 0, "files": 0}


def fill(config: RunConfig) -> Measurement:
    """Take in the events of the topic; draining writes what is left to the changelog."""
    filled = Filled()
    began = time.monotonic()

    async def until_filled() -> None:
        deadline = began + LONGEST_FILL_S
        while filled.events < config.events and time.monotonic() < deadline:  # noqa: ASYNC110  # folds count
            await asyncio.sleep(LOOK_S)

    run_controlled(build(config, filled), config, until_filled)
    return Measurement(
        events=filled.events,
        seconds=time.monotonic() - began,
        cpu_seconds=time.process_time(),
        checksum=0,
        rss_bytes=peak_memory(),
    )


class Recovery:
    """Watches the worker's page `/live`, then reads the table from its own page."""

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._began = self._ready = (0.0, 0.0)
        self._assigned: tuple[float, float] | None = None
        self._left = 0.0
        self._rss_bytes = 0
        self._entries: list[dict[str, Any]] = []

    async def watch(self) -> None:
        """Returns when the table is recovered and read."""
        self._began = _now()
        file = run_file(self._config)
        while not file.exists():  # noqa: ASYNC110  # the worker writes it
            await asyncio.sleep(LOOK_S)
        port = json.loads(file.read_text())["port"]
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            while not await self._is_ready(session):  # noqa: ASYNC110  # the page says so
                await asyncio.sleep(LOOK_S)
            self._ready = _now()
            self._rss_bytes = peak_memory()
            async with session.get(f"/tables/{TABLE}") as page:
                self._entries = json.loads(await page.read())["entries"]

    def measurement(self) -> Measurement:
        """From the start of the worker to the moment when the table answers.

        Where the page has shown the recovery from its begin, metrics say how long that alone took.
        """
        total = sum(
            crc32(it["key"].encode()) + it["state"]["events"] + it["state"]["files"]
            for it in self._entries
        )
        return Measurement(
            events=len(self._entries),
            seconds=self._ready[0] - self._began[0],
            cpu_seconds=self._ready[1] - self._began[1],
            checksum=total % MODULUS,
            rss_bytes=self._rss_bytes,
            metrics=self._from_assignment(),
        )

    async def _is_ready(self, session: aiohttp.ClientSession) -> bool:
        async with session.get("/live") as page:
            said = await page.json()
        left = left_to_recover(said)
        if self._assigned is None and left is not None:
            self._assigned, self._left = _now(), left
        return bool(said["ready"])

    def _from_assignment(self) -> dict[str, float]:
        if self._assigned is None or self._left < LEAST_UNSEEN:
            return {}
        return {
            FROM_ASSIGNMENT_S: self._ready[0] - self._assigned[0],
            FROM_ASSIGNMENT_CPU_S: self._ready[1] - self._assigned[1],
        }


def left_to_recover(page: Mapping[str, Any]) -> float | None:
    """Which share of the table's changelog is still to be read; None when there is none to read.

    `page` is `/live`: its subscription has a list of partitions, each with `done` of `total`.
    """
    progress = [
        it for it in page["subscriptions"]["main"].get("recovery", ()) if it["table"] == TABLE
    ]
    total = sum(it["total"] for it in progress)
    return 1 - sum(it["done"] for it in progress) / total if total else None


def recover(config: RunConfig) -> Measurement:
    """Start with an empty folder and wait until the table is there."""
    recovery = Recovery(config)
    run_controlled(build(config, Filled()), config, recovery.watch)
    return recovery.measurement()


def _now() -> tuple[float, float]:
    return time.monotonic(), time.process_time()


def main() -> None:
    """Measure and print."""
    config = RunConfig.from_arguments()
    (fill if config.options.get("stage") == "fill" else recover)(config).print()


if __name__ == "__main__":
    main()
