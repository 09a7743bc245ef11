"""A gateway on a real socket over broadcasts that a test writes: in memory, same port as Kafka."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zlib import crc32

import orjson

from gateway.app import create_app, serve
from gateway.settings import GatewaySettings
from gateway.tokens import mint, new_secret
from schemas.headers import AGGREGATE, COMPRESSIBLE
from schemas.topics import BROADCAST_TOPICS
from streams.errors import BrokerUnavailable
from streams.log import RecordReader
from streams.records import Headers, RawRecord, TopicPartition

PARTITIONS = 4
EPOCHS = {topic: f"epoch-of-{topic}" for topic in BROADCAST_TOPICS}
STATE_OF_AN_ORDER: Headers = ((AGGREGATE, b"Order/1"), (COMPRESSIBLE, b"1"))
"""Headers of an event that a later one of the same order says anew."""

COUNTS_FOR_AN_ORDER: Headers = ((AGGREGATE, b"Order/1"),)
"""Headers of an event of the same order that counts."""

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class Broadcasts:
    """The broadcast topics as a list per partition; survives a restart of the gateway."""

    def __init__(self) -> None:
        self.records: dict[TopicPartition, list[RawRecord]] = {
            TopicPartition(topic, partition): []
            for topic in BROADCAST_TOPICS
            for partition in range(PARTITIONS)
        }
        self.grown = asyncio.Event()

    def write(
        self,
        room: str,
        event_id: str,
        event_type: str = "analysis.file.processed",
        data: Mapping[str, Any] | None = None,
        at: datetime | None = None,
        headers: Headers = (),
    ) -> RawRecord:
        """Append an event to a room, as the platform's route would."""
        when = at or START + timedelta(milliseconds=self.total())
        body = {
            "id": event_id,
            "type": event_type,
            "data": dict(data or {}),
            "timestamp": when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
        time_ms = int(when.timestamp() * 1000)
        return self.write_raw(room.encode(), orjson.dumps(body), time_ms, headers)

    def write_raw(
        self, key: bytes, value: bytes, timestamp_ms: int = 0, headers: Headers = ()
    ) -> RawRecord:
        """Append any bytes to the partition of a room."""
        topic = f"broadcast.{key.decode().partition('.')[0]}"
        source = TopicPartition(topic, crc32(key) % PARTITIONS)
        record = RawRecord(
            topic=topic,
            partition=source.partition,
            offset=len(self.records[source]),
            timestamp_ms=timestamp_ms,
            key=key,
            value=value,
            headers=headers,
        )
        self.records[source].append(record)
        self.grown.set()
        return record

    def total(self) -> int:
        """How many records there are."""
        return sum(map(len, self.records.values()))


class MemoryReader:
    """RecordReader over Broadcasts. `away` makes it fail as if no broker answered."""

    def __init__(self, broadcasts: Broadcasts) -> None:
        self.away = False
        self.refused = 0
        self._broadcasts = broadcasts
        self._positions: dict[TopicPartition, int] = {}

    async def start(self) -> None:
        self._positions = dict.fromkeys(self._broadcasts.records, 0)

    async def partitions(self) -> tuple[TopicPartition, ...]:
        return tuple(self._broadcasts.records)

    async def beginning(self) -> Mapping[TopicPartition, int]:
        return dict.fromkeys(self._broadcasts.records, 0)

    async def end(self) -> Mapping[TopicPartition, int]:
        return {source: len(held) for source, held in self._broadcasts.records.items()}

    async def offsets_at(self, timestamp_ms: int) -> Mapping[TopicPartition, int]:
        return {
            source: sum(record.timestamp_ms < timestamp_ms for record in held)
            for source, held in self._broadcasts.records.items()
        }

    def seek(self, position: TopicPartition, offset: int) -> None:
        self._positions[position] = offset

    async def read(
        self, max_records: int = 500, timeout_s: float = 1.0
    ) -> Mapping[TopicPartition, list[RawRecord]]:
        if self.away:
            self.refused += 1
            raise BrokerUnavailable
        batches = self._next(max_records)
        if not batches:
            self._broadcasts.grown.clear()
            try:
                await asyncio.wait_for(self._broadcasts.grown.wait(), timeout_s)
            except TimeoutError:
                return {}
            batches = self._next(max_records)
        return batches

    async def close(self) -> None:
        self._positions = {}

    def _next(self, max_records: int) -> dict[TopicPartition, list[RawRecord]]:
        batches: dict[TopicPartition, list[RawRecord]] = {}
        for source, held in self._broadcasts.records.items():
            position = self._positions[source]
            if batch := held[position : position + max_records]:
                batches[source] = batch
                self._positions[source] = position + len(batch)
        return batches


def settings_for_tests(**changes: Any) -> GatewaySettings:
    """Development settings on a free loopback port, with a fresh secret."""
    return replace(GatewaySettings(jwt_secret=new_secret(), development=True), **changes)


@dataclass(kw_only=True)
class Rig:
    """A running gateway that can be stopped and started again on its port."""

    settings: GatewaySettings
    broadcasts: Broadcasts = field(default_factory=Broadcasts)
    epochs: Mapping[str, str] = field(default_factory=lambda: EPOCHS)
    url: str = ""
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None

    async def start(self, reader: RecordReader | None = None) -> None:
        """Listen; returns when the past is loaded. Raises what the gateway raises at its start."""
        self._stop = asyncio.Event()
        app = create_app(self.settings, reader or MemoryReader(self.broadcasts), self.epochs)
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(serve(self.settings, app, ready=ready, stop=self._stop))
        self._task.add_done_callback(lambda _task: ready.cancel())
        try:
            self.url = await ready
        except asyncio.CancelledError:
            await self._task
        self.settings = replace(self.settings, port=int(self.url.rpartition(":")[2]))

    async def stop(self) -> None:
        """Stop listening; every client loses its connection."""
        self._stop.set()
        if self._task is not None:
            await self._task
            self._task = None

    def token(self, *rooms: str, subject: str = "alice", seconds: float = 3600) -> str:
        """A token for these rooms."""
        return mint(self.settings, subject, rooms, timedelta(seconds=seconds))
