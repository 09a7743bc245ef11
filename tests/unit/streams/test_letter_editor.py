"""An edit keeps the event what it is, gives it data that fit, and seals what is personal."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest

from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.errors import EventTooLarge, InvalidEventData, KeysMissing, SubjectForgotten
from schemas.event import Event, EventFactory
from schemas.key_ring import MemoryKeyRing
from schemas.topics import LARGEST_RECORD
from streams.memory.log import MemoryLog
from streams.memory.schemas import MemoryWriterSchemas
from streams.parking.editing import Edit, LetterEditor
from streams.parking.errors import LetterWithoutEvent
from streams.parking.letter import Letter
from streams.parking.orders import Order, OrderKind
from tests.unit.schemas.personal_orders import order, order_catalog
from tests.unit.streams.failed_letters import letter, record

CATALOG = Catalog.load()
SEALED = order_catalog()
FILE = {"analysisId": "a", "projectId": "p", "path": "x.py", "lines": 1, "functions": 0}
WHOLE = FILE | {"classes": 0, "error": None}
ORDER = {"orderId": "o1", "projectId": "p1", "buyerId": "ada", "name": "Ada L.", "photo": "iVA="}


def file_event(version: str = "1.0.0") -> Event[Any]:
    return EventFactory(CATALOG, "tests").create_from_mapping(
        "analysis.file.processed", WHOLE, version=version, aggregate_id="x.py"
    )


def letter_of(event: Event[Any], codec: Codec) -> Letter:
    return letter(1, record=record(1, event.key, value=codec.encode(event)))


async def edited(
    failed: Letter, data: dict[str, Any], catalog: Catalog = CATALOG, keys: Any = None
) -> Edit:
    codec = Codec(catalog, data_types={}, keys=keys)
    schemas = MemoryWriterSchemas(MemoryLog(), codec, wait_s=0)
    return await LetterEditor(catalog, codec, schemas).edit(failed, data)


async def test_the_event_stays_itself_and_is_written_in_the_newest_version() -> None:
    event = file_event("1.0.0")
    failed = letter_of(event, Codec(CATALOG))
    edit = await edited(failed, WHOLE | {"lines": 2})
    new = Codec(CATALOG).view(edit.value)
    assert new.envelope == event.envelope._replace(version="1.1.0")
    assert new.payload["lines"] == 2
    assert edit.schema == CATALOG.writer_schema("analysis.file.processed", "1.1.0")
    assert edit.before == sha256(failed.record.value or b"").hexdigest()
    assert edit.after == sha256(edit.value).hexdigest()
    assert edit.order == Order(
        app="team", letter_id=failed.id, kind=OrderKind.EDIT, value=edit.value
    )


@pytest.mark.parametrize(
    ("data", "path"),
    [
        (FILE, "data.classes"),
        (WHOLE | {"lines": "two"}, "data.lines"),
        (WHOLE | {"colour": "red"}, "data.colour"),
        (WHOLE | {"error": 5}, "data.error"),
    ],
)
async def test_data_that_do_not_fit_are_refused_with_their_path(
    data: dict[str, Any], path: str
) -> None:
    with pytest.raises(InvalidEventData) as refused:
        await edited(letter_of(file_event(), Codec(CATALOG)), data)
    assert refused.value.path == path


async def test_data_of_another_aggregate_are_refused() -> None:
    keys = MemoryKeyRing()
    catalog = order_catalog(aggregate="Order", key="orderId")
    failed = letter_of(order(catalog), Codec(catalog, data_types={}, keys=keys))
    with pytest.raises(InvalidEventData) as refused:
        await edited(failed, ORDER | {"orderId": "o2"}, catalog, keys)
    assert refused.value.path == "data.orderId"


async def test_personal_fields_are_sealed_with_the_key_of_their_subject() -> None:
    keys = MemoryKeyRing()
    codec = Codec(SEALED, data_types={}, keys=keys)
    failed = letter_of(order(SEALED), codec)
    edit = await edited(failed, ORDER, SEALED, keys)
    assert b"Ada L." not in edit.value
    assert codec.view(edit.value).payload == ORDER | {"photo": b"\x89P"}
    keys.forget("ada")
    assert codec.view(edit.value).payload["name"] == "[erased]"


async def test_personal_fields_are_never_written_without_keys_or_for_a_forgotten_subject() -> None:
    keys = MemoryKeyRing()
    failed = letter_of(order(SEALED), Codec(SEALED, data_types={}, keys=keys))
    with pytest.raises(KeysMissing):
        await edited(failed, ORDER, SEALED)
    with pytest.raises(KeysMissing):
        await edited(failed, ORDER | {"name": "[protected]"}, SEALED, keys)
    keys.forget("ada")
    with pytest.raises(SubjectForgotten):
        await edited(failed, ORDER, SEALED, keys)


async def test_damaged_data_are_replaced_as_long_as_the_envelope_can_be_read() -> None:
    value = Codec(CATALOG).encode(file_event())
    damaged = letter(1, record=record(1, value=value[:-3]))
    edit = await edited(damaged, WHOLE)
    assert Codec(CATALOG).view(edit.value).payload["path"] == "x.py"


@pytest.mark.parametrize("value", [b"", b"no event", b"\x00\x40\x00\x00\x01rest"])
async def test_bytes_without_an_event_cannot_be_edited(value: bytes) -> None:
    with pytest.raises(LetterWithoutEvent):
        await edited(letter(1, record=record(1, value=value)), WHOLE)


async def test_an_edit_that_no_order_can_carry_is_refused() -> None:
    with pytest.raises(EventTooLarge) as refused:
        await edited(letter_of(file_event(), Codec(CATALOG)), WHOLE | {"path": "x" * 900_000})
    assert refused.value.limit == LARGEST_RECORD
