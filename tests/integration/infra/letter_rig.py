"""Letters of an app on a real broker, and somebody who carries orders about them out."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event, EventFactory
from schemas.headers import event_headers
from schemas.topics import CONTROL_TOPIC
from streams.control import Control
from streams.kafka.fetcher import KafkaFetcher
from streams.kafka.reader import KafkaReader
from streams.kafka.sender import KafkaSender
from streams.parking.letter import Letter, LetterState
from streams.parking.letters import Letters, LettersReading
from streams.parking.orders import Order, OrderKind, order_prefix, take_order
from streams.records import OutgoingRecord, RawRecord
from streams.settings import KafkaSettings
from tests.integration.infra.wundr_command import wundr

CATALOG = Catalog.load()
CODEC = Codec(CATALOG)
FACTORY = EventFactory(CATALOG, "tests")
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def file_event(path: str, lines: int = 1) -> Event[Any]:
    """Something that happened to a file."""
    data = {
        "analysisId": "a",
        "projectId": "p",
        "path": path,
        "lines": lines,
        "functions": 0,
        "classes": 0,
        "error": None,
    }
    return FACTORY.create_from_mapping(
        "analysis.file.processed", data, version="1.0.0", aggregate_id=path
    )


@dataclass(kw_only=True)
class LetterRig:
    """The letters of one app; `run` is `wundr` on the same broker."""

    kafka: KafkaSettings
    app: str
    folder: Path
    settings: dict[str, str]
    sender: KafkaSender
    offsets: int = 0
    taken: list[Order] = field(default_factory=list)

    def letter(self, event: Event[Any], state: LetterState, **fields: Any) -> Letter:
        """A letter about the next record of partition 1."""
        self.offsets += 1
        record = RawRecord(
            topic=event.topic,
            partition=1,
            offset=self.offsets,
            timestamp_ms=7,
            key=event.key.encode(),
            value=fields.pop("value", None) or CODEC.encode(event),
            headers=event_headers(event),
        )
        failure: dict[str, Any] = {}
        if state is not LetterState.BEHIND:
            failure = {
                "tries": 4,
                "reason": "ValueError",
                "last_error": "ValueError: no",
                "failed_at": NOW,
            }
        whole: dict[str, Any] = {
            "app": self.app,
            "group": f"{self.app}.main",
            "handler": "notify",
            "record": record,
            "state": state,
        }
        return Letter(**whole | failure | fields)

    def parked(self, path: str, **fields: Any) -> Letter:
        """A parked letter about a file."""
        return self.letter(file_event(path), LetterState.PARKED, **fields)

    def behind(self, path: str) -> Letter:
        """One that waits behind an earlier one of the same file."""
        return self.letter(file_event(path), LetterState.BEHIND)

    async def write(self, *written: Letter | OutgoingRecord) -> None:
        """Write, acknowledged."""
        records = [one.encode() if isinstance(one, Letter) else one for one in written]
        for receipt in [await self.sender.send(record) for record in records]:
            await receipt

    async def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """`wundr dlq` with these words."""
        settings = self.settings | variables
        return await asyncio.to_thread(lambda: wundr(self.folder, "dlq", *words, **settings))

    async def listed(self, *words: str) -> list[dict[str, Any]]:
        """The lines of JSON of a command that must end with 0."""
        ran = await self.run(*words, "--json")
        assert ran.returncode == 0, ran.stderr
        return [json.loads(line) for line in ran.stdout.splitlines()]

    async def orders(self) -> dict[str, Order]:
        """The orders about the app's letters that stand, with the bytes of edits."""
        found: dict[str, Order] = {}
        for record in await self.read(CONTROL_TOPIC):
            key = (record.key or b"").decode()
            if not key.startswith(order_prefix(self.app)):
                continue
            found.pop(key, None)
            if record.value is not None:
                found[key] = Order.decode(key, orjson.loads(record.value))
        return {order.letter_id: order for order in found.values()}

    async def read(self, topic: str) -> list[RawRecord]:
        """All records of a topic, partition by partition in order."""
        reader = KafkaReader(self.kafka, [topic])
        await reader.start()
        try:
            ends, at = await reader.end(), dict(await reader.beginning())
            found: list[RawRecord] = []
            while any(at[source] < end for source, end in ends.items()):
                for source, records in (await reader.read()).items():
                    at[source] = records[-1].offset + 1
                    found += records
        finally:
            await reader.close()
        return found

    async def live(self) -> Letters:
        """The letters as they are now."""
        topics = [f"dlq.{self.app}", f"retry.{self.app}", CONTROL_TOPIC]
        reading = LettersReading(KafkaReader(self.kafka, topics), Letters())
        await reading.start()
        await reading.catch_up()
        await reading.close()
        return reading.letters

    @asynccontextmanager
    async def owner(self, letters: Sequence[Letter], *failing: Letter) -> AsyncIterator[None]:
        """A worker that ends letters that are ordered; those that fail again are kept."""
        working = _Owner(self, {it.id: it for it in letters}, {it.id for it in failing})
        control = Control(partial(KafkaFetcher, self.kafka))
        control.orders.listen(order_prefix(self.app), partial(take_order, working))
        await control.start()
        task = asyncio.create_task(working.work())
        try:
            yield
        finally:
            await control.close()
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled():
                task.result()


class _Owner:
    def __init__(self, rig: LetterRig, letters: dict[str, Letter], failing: set[str]) -> None:
        self._rig = rig
        self._letters = letters
        self._failing = failing
        self._orders: asyncio.Queue[Order] = asyncio.Queue()

    def order(self, order: Order) -> None:
        self._orders.put_nowait(order)

    def order_taken_back(self, letter_id: str) -> None:
        """It is this one that carries orders out."""

    async def work(self) -> None:
        while True:
            order = await self._orders.get()
            self._rig.taken.append(order)
            letter = self._letters[order.letter_id]
            if letter.id in self._failing and order.kind is not OrderKind.DROP:
                failed = replace(
                    letter,
                    tries=letter.tries + 1,
                    failed_at=datetime.now(UTC),
                    reason="KeyError",
                    last_error="KeyError: 'path'",
                )
                await self._rig.write(failed)
            else:
                await self._rig.write(letter.ended())
            await self._rig.write(order.ended())
