"""The workers of an app, asked over HTTP on loopback."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import aiohttp
import orjson

from examples.analysis.demo.plan import WORKERS, DemoFolders
from examples.analysis.demo.waiting import ProcessNotReady
from examples.analysis.reckoning import Tables
from streams.projection import State

ANSWER_S: Final = 5.0
"""How long a process may take to answer over HTTP."""


class Workers:
    """All workers of an app as one: each owns a part of the partitions and of the tables.

    Every question raises ProcessNotReady while one of them does not answer.
    """

    def __init__(
        self, http: aiohttp.ClientSession, folders: DemoFolders, names: Sequence[str] = WORKERS
    ) -> None:
        self._http = http
        self._run_files = [folders.run_file(name) for name in names]

    async def are_ready(self) -> bool:
        """Whether all have their partitions and their tables."""
        return all(answer["ready"] for answer in await self._ask("/live"))

    async def tables(self, names: Iterable[str]) -> Tables:
        """The entries of all tables with these names."""
        tables: dict[str, dict[str, State]] = {}
        for name in names:
            answers = await self._ask(f"/tables/{name}")
            tables[name] = {
                entry["key"]: entry["state"] for answer in answers for entry in answer["entries"]
            }
        return tables

    async def unfinished(self) -> int:
        """How many records they have taken and not finished."""
        return sum(answer["unfinished"] for answer in await self._ask("/live"))

    async def committed(self) -> Mapping[str, int]:
        """The committed offset of each partition that has one, by `topic/partition`.

        Where several subscriptions read a partition it is that of the one that is furthest behind.
        """
        behind: dict[str, int] = {}
        for answer in await self._ask("/live"):
            for subscription in answer["subscriptions"].values():
                for source, offset in subscription["committed"].items():
                    behind[source] = min(offset, behind.get(source, offset))
        return behind

    async def _ask(self, path: str) -> list[Mapping[str, Any]]:
        addresses = [address_of(run_file) for run_file in self._run_files]
        return await asyncio.gather(*(self._get(f"{address}{path}") for address in addresses))

    async def _get(self, url: str) -> Mapping[str, Any]:
        try:
            async with self._http.get(url, timeout=aiohttp.ClientTimeout(total=ANSWER_S)) as answer:
                answer.raise_for_status()
                found: Mapping[str, Any] = await answer.json()
                return found
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ProcessNotReady(f"{url}: {type(error).__name__} {error}") from error


def address_of(run_file: Path) -> str:
    """The loopback address that a process wrote down. Raises ProcessNotReady."""
    try:
        return f"http://127.0.0.1:{orjson.loads(run_file.read_bytes())['port']}"
    except (FileNotFoundError, ValueError, KeyError) as error:
        raise ProcessNotReady(f"{run_file.stem} has not started yet") from error
