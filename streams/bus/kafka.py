"""The bus on Kafka."""

from collections.abc import Sequence

from schemas.catalog import Catalog
from schemas.codec import Codec
from streams.bus.log_bus import BusLog, BusOptions, LogBus
from streams.event_store import StoredEvents
from streams.kafka.fetcher import KafkaFetcher
from streams.kafka.group import KafkaGroupReader
from streams.kafka.schema_topic import KafkaWriterSchemas
from streams.kafka.sender import KafkaSender
from streams.log import AssignmentListener, GroupReader
from streams.settings import KafkaSettings


class KafkaBus(LogBus):
    """Implements EventBus. Connects with the first publish or subscribe."""

    def __init__(
        self,
        app: str,
        settings: KafkaSettings,
        catalog: Catalog,
        stored: StoredEvents,
        *,
        options: BusOptions | None = None,
    ) -> None:
        options = options or BusOptions()
        codec = Codec(catalog, keys=options.keys, upcasts=True)
        sender = KafkaSender(settings)

        def open_reader(
            group: str, topics: Sequence[str], listener: AssignmentListener
        ) -> GroupReader:
            return KafkaGroupReader(settings, group, topics, listener, reset="latest")

        edges = BusLog(
            codec=codec,
            sender=sender,
            schemas=KafkaWriterSchemas(settings, sender, codec),
            stored=stored,
            open_reader=open_reader,
            open_fetcher=lambda: KafkaFetcher(settings),
        )
        super().__init__(app, catalog, edges, options)
