"""Writer schemas on Kafka."""

from schemas.codec import Codec
from schemas.topics import SCHEMAS_TOPIC
from streams.kafka.reader import KafkaReader
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
