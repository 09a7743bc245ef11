"""A partition whose events fail, for tests of what becomes of those that wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from schemas.envelope import Metadata
from schemas.event import Event
from schemas.framing import frame
from streams.app import App
from streams.context import BatchContext, Context
from streams.log import RecordSender
from streams.memory.fetcher import MemoryFetcher
from streams.memory.log import MemorySender
from streams.memory.schemas import MemoryWriterSchemas
from streams.parking.letter import Letter
from streams.parking.loading import load_entries
from streams.parking.orders import Order, OrderKind
from streams.processor import AppProcessor
from streams.projection import Entry
from streams.publisher import EventPublisher
from streams.receipt import Receipt
from streams.records import OutgoingRecord, RawRecord, TopicPartition
from streams.table import MemoryTable
from tests.unit.streams.bench import Bench

MakeEvent = Callable[..., Event[Any]]

SOURCE = TopicPartition("events.domain.high", 0)

UNKNOWN = frame((1 << 30) | 12345, b"whatever it is")
"""Bytes of a schema that nobody knows."""


class Crashed(BaseException):
    """The process is gone."""


async def until(condition: Callable[[], bool]) -> None:
    """Let others work until the condition holds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # any of many things may make it true
            await asyncio.sleep(0)


class WatchedSender(MemorySender):
    """Has `before` look at each record first: it may raise instead."""

    before: Callable[[OutgoingRecord], None] | None = None

    async def send(self, record: OutgoingRecord) -> Receipt:
        """See RecordSender."""
        if self.before is not None:
            self.before(record)
        return await super().send(record)


@dataclass
class PausingBench(Bench):
    """Its delays last until all is `healed`; events go out by a sender of their own."""

    events: RecordSender | None = None
    healed: asyncio.Event = field(default_factory=asyncio.Event)

    async def sleep(self, seconds: float) -> None:
        """Note a delay, and wait."""
        self.slept.append(seconds)
        await self.healed.wait()
        await asyncio.sleep(0)

    def publisher(self) -> EventPublisher:
        """A publisher into the log, or to `events`."""
        schemas = MemoryWriterSchemas(self.log, self.codec)
        sender = self.events or MemorySender(self.log)
        return EventPublisher(self.catalog, self.codec, sender, schemas)


class Journal:
    """What handlers and tables have taken, and what they fail for at the moment."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.failing: set[str] = set()
        self.tries: list[str] = []
        self.together: list[str] = []
        self.is_away = False

    def judge(self, event: Event[Any]) -> str:
        """Its name; raises ValueError while it fails."""
        name = str(event.metadata.user_id)
        self.tries.append(name)
        if name in self.failing:
            raise ValueError(f"{name} cannot be handled")
        return name

    async def handle(self, event: Event[Any], context: Context) -> None:
        """A handler."""
        self.seen.append(self.judge(event))

    async def handle_all(self, batch: Sequence[Event[Any]], context: BatchContext) -> None:
        """A handler of batches, which needs what may be away."""
        if self.is_away:
            raise ConnectionError("the database is away")
        self.together += [str(it.metadata.user_id) for it in batch]

    def fold(self, state: dict[str, Any], event: Event[Any]) -> dict[str, Any]:
        """A fold that tells in which order it was given the events."""
        return {"order": [*state.get("order", []), self.judge(event)]}


class Parked:
    """Events of one partition, the app `team` that works on them, and who owns it next."""

    def __init__(self, bench: Bench, started: MakeEvent) -> None:
        self.bench = PausingBench(bench.catalog, bench.codec, bench.factory)
        self.sender = WatchedSender(self.bench.log)
        self.journal = Journal()
        self.app = App("team")
        self.table: MemoryTable | None = None
        self._started = started

    def record(self, aggregate: str, name: str, offset: int) -> RawRecord:
        """An event of an aggregate as it stands in the partition."""
        event = self._started(aggregate, metadata=Metadata(user_id=name))
        return self.bench.record(event, offset)

    def records(self, aggregate: str, names: Sequence[str]) -> list[RawRecord]:
        """Events of an aggregate, from the first offset on."""
        return [self.record(aggregate, name, at) for at, name in enumerate(names)]

    def processor(self) -> AppProcessor:
        """A worker of the app, whose table is empty."""
        workload = self.app.workload()
        tables = {name: MemoryTable(topic) for name, topic in workload.changelogs().items()}
        self.table = next(iter(tables.values()), None)
        return self.bench.processor(self.app, tables, self.sender)

    async def take_over(self) -> AppProcessor:
        """Another worker, which knows what the topics hold; it recovers no table."""
        self.sender = WatchedSender(self.bench.log)
        processor = self.processor()
        await self.bench.redoing.begin([SOURCE])
        await self.bench.redoing.close()
        entries = await load_entries(self.fetcher, "team", self.app.workload().group, {0})
        self.bench.lot.restore(entries, [SOURCE])
        return processor

    def fetcher(self) -> MemoryFetcher:
        """One that reads what was kept."""
        return MemoryFetcher(self.bench.log)

    def live(self, topic: str) -> list[Letter]:
        """What a compacted topic holds in the end."""
        last = {it.key: it for it in self.bench.log.topic(topic)}
        return [Letter.decode(it) for it in last.values() if it.value is not None]

    @property
    def letter(self) -> Letter:
        """The only dead letter."""
        (letter,) = self.live("dlq.team")
        return letter

    async def order(self, kind: OrderKind, letter: Letter, value: bytes | None = None) -> None:
        """Give an order, and do what can be done after it."""
        await self.bench.order(Order(app="team", letter_id=letter.id, kind=kind, value=value))

    def folded(self, key: str = "Analysis/a") -> list[str]:
        """What the table has taken of a key, in order."""
        assert self.table is not None
        value = self.table.get(key)
        return [] if value is None else list(Entry.decode(value).state["order"])
