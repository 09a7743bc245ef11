"""Personal data in the flow: sealed in every topic, read by handlers and tables with keys."""

from typing import Any

from schemas.event import Event
from schemas.key_ring import MemoryKeyRing
from schemas.protection import ERASED, PROTECTED
from streams.app import App
from streams.bus.log_bus import BusOptions
from streams.bus.memory import MemoryBus
from streams.context import Context
from streams.memory.log import MemoryLog
from streams.memory.worker import MemoryWorker
from streams.projection import State
from tests.unit.schemas.personal_orders import ORDERED, order, order_catalog

CATALOG = order_catalog()
NAME = "Ada Lovelace"


class Shop:
    """An app that notes the names that it reads, in a handler and in a table."""

    def __init__(self, keys: MemoryKeyRing) -> None:
        self.log = MemoryLog()
        self.bus = MemoryBus("shop", self.log, CATALOG, options=BusOptions(keys=keys))

    async def read(self, keys: MemoryKeyRing | None) -> tuple[list[str], list[State]]:
        """What a new worker with these keys reads from the beginning."""
        app, read = App("shop"), []

        @app.on(ORDERED)
        async def greet(event: Event[Any], _context: Context) -> None:
            read.append(event.data["name"])

        @app.projection("names", on=[ORDERED], initial=dict)
        def names(_state: State, event: Event[Any]) -> State:
            return {"name": event.payload["name"]}

        worker = MemoryWorker(app, self.log, CATALOG, keys=keys)
        await worker.run_until_idle()
        return read, list(worker.table("names").values())


async def test_handlers_and_tables_read_what_no_topic_holds() -> None:
    keys = MemoryKeyRing()
    shop = Shop(keys)
    await (await shop.bus.publish(order(CATALOG, name=NAME)))
    topic = order(CATALOG).topic
    values = [
        record.value
        for source in shop.log.partitions(topic)
        for record in shop.log.records(source, 0)
    ]
    assert len(values) == 1
    assert all(value is not None and NAME.encode() not in value for value in values)
    assert await shop.read(keys) == ([NAME], [{"name": NAME}])
    assert await shop.read(None) == ([PROTECTED], [{"name": PROTECTED}])
    keys.forget("ada")
    assert await shop.read(keys) == ([ERASED], [{"name": ERASED}])
