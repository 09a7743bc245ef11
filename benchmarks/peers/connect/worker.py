"""One worker of Kafka Connect: started, given its connector, watched, ended."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import aiohttp
import psutil

_START_DEADLINE_S: Final = 90.0
_STOP_GRACE_S: Final = 20.0
_POLL_S: Final = 0.2
_CREATED: Final = 201


class ConnectFailed(RuntimeError):
    """The worker ended, or its connector gave up."""


class ConnectWorker:
    """A worker that answers."""

    def __init__(self, process: Process, http: aiohttp.ClientSession) -> None:
        self._process = process
        self._http = http
        self.pid = process.pid

    @property
    def cpu_seconds(self) -> float:
        """What it has used so far, all threads, user and system."""
        times = psutil.Process(self.pid).cpu_times()
        return float(times.user + times.system)

    async def create(self, name: str, settings: Mapping[str, str]) -> None:
        """Start a connector. Raises ConnectFailed."""
        async with self._http.put(f"/connectors/{name}/config", json=dict(settings)) as answer:
            if answer.status != _CREATED:
                raise ConnectFailed(await answer.text())

    async def check(self, name: str) -> None:
        """Raise ConnectFailed when the worker or a task of the connector has failed."""
        if self._process.returncode is not None:
            raise ConnectFailed(f"the worker ended with {self._process.returncode}")
        async with self._http.get(f"/connectors/{name}/status") as answer:
            status = await answer.json()
        # Just created, it has no status yet.
        failed = failures(status) if answer.ok else []
        if failed:
            raise ConnectFailed(failed[0])

    async def wait_until_ready(self) -> None:
        """Return when it takes connectors. Raises ConnectFailed, TimeoutError."""
        async with asyncio.timeout(_START_DEADLINE_S):
            while not await self._is_ready():
                if self._process.returncode is not None:
                    raise ConnectFailed(f"the worker ended with {self._process.returncode}")
                await asyncio.sleep(_POLL_S)

    async def stop(self) -> None:
        """End it as an operator does: what its tasks have begun is finished."""
        if self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), _STOP_GRACE_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _is_ready(self) -> bool:
        with suppress(aiohttp.ClientConnectionError):
            async with self._http.get("/connectors") as answer:
                return answer.ok
        return False


@asynccontextmanager
async def running_worker(command: Sequence[str], address: str) -> AsyncIterator[ConnectWorker]:
    """A worker that is ready, stopped behind the block. Raises ConnectFailed, TimeoutError."""
    # Its output is the log of the run: the measurement alone belongs on stdout.
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=sys.stderr
    )
    async with aiohttp.ClientSession(address) as http:
        worker = ConnectWorker(process, http)
        try:
            await worker.wait_until_ready()
            yield worker
        finally:
            await worker.stop()


def failures(status: Mapping[str, Any]) -> list[str]:
    """Why the connector or its tasks have failed, by the status that Connect shows."""
    parts = [status["connector"], *status["tasks"]]
    return [str(part.get("trace", "")) for part in parts if part["state"] == "FAILED"]
