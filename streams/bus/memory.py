"""The bus in process: low latency, nothing survives the process."""

from collections.abc import Sequence

from schemas.catalog import Catalog
from schemas.codec import Codec
from streams.bus.log_bus import BusLog, BusOptions, LogBus
from streams.log import AssignmentListener, GroupReader
from streams.memory.fetcher import MemoryFetcher
from streams.memory.group import MemoryGroupReader
from streams.memory.log import MemoryLog, MemorySender
from streams.memory.schemas import MemoryWriterSchemas
from streams.memory.stored import MemoryStoredEvents
from streams.reading import EventReading


class MemoryBus(LogBus):
    """Implements EventBus over a MemoryLog; buses over one log reach each other."""

    def __init__(
        self,
        app: str,
        log: MemoryLog,
        catalog: Catalog,
        *,
        schema_wait_s: float = 1.0,
        options: BusOptions | None = None,
    ) -> None:
        options = options or BusOptions()
        codec = Codec(catalog, keys=options.keys, upcasts=True)
        schemas = MemoryWriterSchemas(log, codec, wait_s=schema_wait_s)

        def open_reader(
            group: str, topics: Sequence[str], listener: AssignmentListener
        ) -> GroupReader:
            return MemoryGroupReader(log, group, topics, listener, reset="latest")

        edges = BusLog(
            codec=codec,
            sender=MemorySender(log),
            schemas=schemas,
            stored=MemoryStoredEvents(log, EventReading(codec, schemas, lambda _: True)),
            open_reader=open_reader,
            open_fetcher=lambda: MemoryFetcher(log),
        )
        super().__init__(app, catalog, edges, options)
