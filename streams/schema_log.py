"""Writer schemas over any log: the compacted topic `wundr.schemas`.

The key is the decimal id, the value the composed schema as JSON.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Final

import structlog

from schemas.catalog import WriterSchema
from schemas.codec import Codec
from schemas.errors import SchemaError, UnknownSchemaId
from schemas.topics import SCHEMAS_TOPIC
from streams.log import RecordReader, RecordSender
from streams.records import OutgoingRecord, RawRecord, TopicPartition

LOOK_S: Final = 0.1
"""How long one look at the topic waits for something new."""

log = structlog.get_logger(__name__)


class LoggedWriterSchemas:
    """Implements WriterSchemas. The first unknown id reads the topic whole, later ones go on.

    An id counts as unknown only after everything in the topic was read: while the broker is away
    `resolve` raises BrokerUnavailable instead.
    """

    def __init__(
        self, codec: Codec, sender: RecordSender, reader: RecordReader, *, wait_s: float
    ) -> None:
        self._codec = codec
        self._sender = sender
        self._reader = reader
        self._wait_s = wait_s
        self._looking = asyncio.Lock()
        self._next: dict[TopicPartition, int] | None = None

    async def announce(self, schema: WriterSchema) -> None:
        """Write the schema, acknowledged. Raises BrokerUnavailable or DeliveryFailed."""
        receipt = await self._sender.send(
            OutgoingRecord(
                topic=SCHEMAS_TOPIC,
                key=str(schema.id).encode(),
                value=schema.composed_json.encode(),
            )
        )
        await receipt

    async def resolve(self, schema_id: int) -> None:
        """Return once the codec knows this id. Raises UnknownSchemaId, or BrokerUnavailable."""
        deadline = time.monotonic() + self._wait_s
        while not self._codec.knows(schema_id):
            async with self._looking:
                if not self._codec.knows(schema_id):
                    next_offsets = await self._look()
                    is_late = time.monotonic() >= deadline
                    if is_late and await self._has_read_all(next_offsets):
                        break
        if not self._codec.knows(schema_id):
            raise UnknownSchemaId(schema_id)

    async def close(self) -> None:
        """Let go of the reader, if it was needed at all."""
        if self._next is not None:
            await self._reader.close()

    async def _look(self) -> Mapping[TopicPartition, int]:
        """Read what is new; returns how far the topic was read."""
        if self._next is None:
            await self._reader.start()
            self._next = dict(await self._reader.beginning())
        for source, records in (await self._reader.read(timeout_s=LOOK_S)).items():
            for record in records:
                self._learn(record)
            self._next[source] = records[-1].offset + 1
        return self._next

    async def _has_read_all(self, next_offsets: Mapping[TopicPartition, int]) -> bool:
        """Compaction may leave a hole before the end: then an empty look counts as all."""
        ends = await self._reader.end()
        if all(next_offsets.get(source, 0) >= end for source, end in ends.items()):
            return True
        before = dict(next_offsets)
        return dict(await self._look()) == before

    def _learn(self, record: RawRecord) -> None:
        if record.value is None:
            return
        try:
            self._codec.learn(record.value.decode())
        except (SchemaError, UnicodeDecodeError) as error:
            log.warning(
                "a record of wundr.schemas is no schema", offset=record.offset, error=str(error)
            )
