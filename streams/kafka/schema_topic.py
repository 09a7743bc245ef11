"""Writer schemas on Kafka."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from schemas.codec import Codec
from schemas.topics import SCHEMAS_TOPIC
from streams.kafka.reader import KafkaReader
from streams.kafka.sender import KafkaSender
from streams.log import RecordSender
from streams.schema_log import LoggedWriterSchemas
from streams.settings import KafkaSettings


class KafkaWriterSchemas(LoggedWriterSchemas):
    """Announces through the given sender; looks unknown ids up with a reader of its own."""

    def __init__(self, settings: KafkaSettings, sender: RecordSender, codec: Codec) -> None:
        super().__init__(
            codec,
            sender,
            KafkaReader(settings, (SCHEMAS_TOPIC,)),
            wait_s=settings.schema_wait_s,
        )


class OpenSchemas(NamedTuple):
    """What reading events of newer releases needs, and the sender that new ones go out by."""

    schemas: KafkaWriterSchemas
    sender: KafkaSender


@asynccontextmanager
async def open_schemas(settings: KafkaSettings, codec: Codec) -> AsyncIterator[OpenSchemas]:
    """Connects when the first schema is asked for or sent; both are closed behind the block."""
    sender = KafkaSender(settings)
    schemas = KafkaWriterSchemas(settings, sender, codec)
    try:
        yield OpenSchemas(schemas, sender)
    finally:
        try:
            await schemas.close()
        finally:
            await sender.close()
