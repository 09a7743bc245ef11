"""Records read many at a time: what each becomes does not depend on those beside it."""

from __future__ import annotations

from typing import Any, Final

import pytest

from connectors.errors import Unstorable
from connectors.sink_reading import YIELD_EVERY, ReadRecords, SinkReading
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.errors import NotAnEvent, UnknownSchemaId, WundrError
from schemas.event import Event, EventFactory
from schemas.framing import frame
from streams.memory.log import MemoryLog
from streams.memory.schemas import MemoryWriterSchemas
from streams.reading import EventReading
from streams.records import RawRecord

CATALOG: Final = Catalog.load()
CODEC: Final = Codec(CATALOG)
FACTORY: Final = EventFactory(CATALOG, source="tests")
COUNT: Final = 2 * YIELD_EVERY + 100

EVENT: Final = FACTORY.create_from_mapping(
    "system.worker.started", {"process": "tests", "host": "local", "pid": 1}
)
NOT_STORABLE: Final = Event(EVENT.envelope._replace(id="\x00"), EVENT.data)


def sound(number: int) -> bytes:
    return CODEC.encode(Event(EVENT.envelope._replace(id=f"e-{number}"), EVENT.data))


UNREADABLE: Final[dict[str, tuple[bytes | None, type[WundrError] | None]]] = {
    "no event": (b"junk", NotAnEvent),
    "not storable": (CODEC.encode(NOT_STORABLE), Unstorable),
    "of an unknown schema": (frame(1 << 30 | 7, b"x"), UnknownSchemaId),
    "a tombstone": (None, None),
}


def record(number: int, value: bytes | None) -> RawRecord:
    return RawRecord("store.events", number % 3, number, 0, b"k", value)


async def read(records: list[RawRecord], *, with_json: bool) -> ReadRecords:
    codec = Codec(CATALOG)
    schemas = MemoryWriterSchemas(MemoryLog(), codec, wait_s=0)
    reading = SinkReading(EventReading(codec, schemas, lambda _: True), with_json=with_json)
    # What is known of a schema after its first event decides how those behind are read.
    await reading.read([record(0, sound(0))])
    return await reading.read(records)


@pytest.mark.parametrize("with_json", [False, True])
@pytest.mark.parametrize("odd", UNREADABLE)
@pytest.mark.parametrize("place", [0, YIELD_EVERY - 1, YIELD_EVERY, 2 * YIELD_EVERY - 1, COUNT - 1])
async def test_one_odd_record_changes_nothing_for_the_others(
    place: int, odd: str, with_json: bool
) -> None:
    value, error = UNREADABLE[odd]
    records = [
        record(number, value if number == place else sound(number)) for number in range(COUNT)
    ]
    made = await read(records, with_json=with_json)
    expected: list[Any] = [
        (it.partition, it.offset, f"e-{it.offset}") for it in records if it.offset != place
    ]
    assert [(*row.position, row.row.event_id) for row in made.rows] == expected
    assert [(it.record, type(it.error)) for it in made.refused] == (
        [(records[place], error)] if error else []
    )
    assert all((row.row.data is not None) is with_json for row in made.rows)
