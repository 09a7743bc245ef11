"""Writer schemas on the log in process."""

from schemas.codec import Codec
from schemas.topics import SCHEMAS_TOPIC
from streams.memory.log import MemoryLog, MemorySender
from streams.memory.reader import MemoryReader
from streams.schema_log import LoggedWriterSchemas


class MemoryWriterSchemas(LoggedWriterSchemas):
    """As on Kafka, in process."""

    def __init__(self, log: MemoryLog, codec: Codec, *, wait_s: float = 1.0) -> None:
        super().__init__(
            codec, MemorySender(log), MemoryReader(log, (SCHEMAS_TOPIC,)), wait_s=wait_s
        )
