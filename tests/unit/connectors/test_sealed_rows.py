from typing import Any

import pytest

from connectors.sink_reading import SinkReading
from schemas.codec import Codec
from schemas.event import Event
from schemas.headers import event_headers
from schemas.key_ring import MemoryKeyRing
from schemas.topics import STORE_EVENTS
from streams.memory.log import MemoryLog
from streams.memory.schemas import MemoryWriterSchemas
from streams.reading import EventReading
from streams.records import RawRecord
from tests.unit.schemas.personal_orders import order, order_catalog

CATALOG = order_catalog()
KEYS = MemoryKeyRing()


def stored(event: Event[Any]) -> RawRecord:
    return RawRecord(
        topic=STORE_EVENTS,
        partition=0,
        offset=0,
        timestamp_ms=0,
        key=event.id.encode(),
        value=Codec(CATALOG, keys=KEYS).encode(event),
        headers=event_headers(event),
    )


@pytest.mark.parametrize("keys", [None, KEYS], ids=["without keys", "with keys"])
async def test_no_column_of_a_stored_event_holds_a_personal_value(keys: MemoryKeyRing) -> None:
    event = order(CATALOG, name="Ada Lovelace", photo=None)
    codec = Codec(CATALOG, keys=keys)
    schemas = MemoryWriterSchemas(MemoryLog(), codec, wait_s=0)
    reading = SinkReading(EventReading(codec, schemas, lambda _: True), with_json=True)
    [placed] = (await reading.read([stored(event)])).rows
    assert "Lovelace" not in str(placed.row)
    assert placed.row.data is not None
    assert '"name":"wundr.1.' in placed.row.data
    assert '"orderId":"o1"' in placed.row.data
