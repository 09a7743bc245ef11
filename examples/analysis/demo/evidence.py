"""Where the counts of a run are taken: journals on disk, rows, workers' tables, dead letters."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from examples.analysis.reckoning import Tables
from schemas.codec import Codec
from schemas.errors import WundrError
from schemas.event import Event
from streams.journal import read_journal
from streams.kafka.reader import KafkaReader
from streams.projection import State
from streams.settings import KafkaSettings

ANSWER_S = 5.0
"""How long a process may take to answer over HTTP."""


class ProcessNotReady(WundrError):
    """A process of the demonstration does not answer."""

    code = "examples.process_not_ready"
    retryable = True
    remedy = "Look at its log in .wundr/runs."


class Journals:
    """The acknowledged events of a run, read from all journals of a folder as they grow."""

    def __init__(self, folder: Path, codec: Codec) -> None:
        self._folder = folder
        self._codec = codec
        self._read: dict[Path, int] = {}
        self.events: dict[str, Event[Any]] = {}

    def look(self) -> int:
        """Read what is new; how many different events are acknowledged by now."""
        for path in sorted(self._folder.glob("*.jsonl")):
            values, self._read[path] = read_journal(path, self._read.get(path, 0))
            for event in map(self._codec.view, values):
                self.events.setdefault(event.id, event)
        return len(self.events)


async def worker_tables(
    session: aiohttp.ClientSession, addresses: Sequence[str], names: Iterable[str]
) -> Tables:
    """The tables of all workers together: each owns the keys of its partitions.

    Raises ProcessNotReady.
    """
    tables: dict[str, dict[str, State]] = {}
    for name in names:
        answers = await asyncio.gather(
            *(_get(session, f"{address}/tables/{name}") for address in addresses)
        )
        tables[name] = {
            entry["key"]: entry["state"] for answer in answers for entry in answer["entries"]
        }
    return tables


async def is_ready(session: aiohttp.ClientSession, address: str) -> bool:
    """Whether a worker has its partitions and its tables. Raises ProcessNotReady."""
    return bool((await _get(session, f"{address}/live"))["ready"])


async def unfinished_records(session: aiohttp.ClientSession, addresses: Sequence[str]) -> int:
    """How many records these workers have taken and not finished. Raises ProcessNotReady."""
    answers = await asyncio.gather(*(_get(session, f"{address}/live") for address in addresses))
    return sum(answer["unfinished"] for answer in answers)


async def end_of(settings: KafkaSettings, topics: Sequence[str]) -> int:
    """How many records were ever written to these topics."""
    reader = KafkaReader(settings, topics)
    await reader.start()
    try:
        return sum((await reader.end()).values())
    finally:
        await reader.close()


def address_of(run_file: Path) -> str:
    """The loopback address that a process wrote down. Raises ProcessNotReady."""
    try:
        return f"http://127.0.0.1:{orjson.loads(run_file.read_bytes())['port']}"
    except (FileNotFoundError, ValueError, KeyError) as error:
        raise ProcessNotReady(f"{run_file.stem} has not started yet") from error


async def _get(session: aiohttp.ClientSession, url: str) -> Mapping[str, Any]:
    try:
        async with session.get(url, timeout=aiohttp.ClientTimeout(total=ANSWER_S)) as answer:
            answer.raise_for_status()
            found: Mapping[str, Any] = await answer.json()
            return found
    except (aiohttp.ClientError, TimeoutError) as error:
        raise ProcessNotReady(f"{url}: {type(error).__name__} {error}") from error
