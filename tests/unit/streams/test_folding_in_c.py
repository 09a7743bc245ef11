"""What is out of the ordinary is refused in C, or left to Python, and does no harm."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.consumer.fetcher import READ_UNCOMMITTED, PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from schemas.event import Event
from streams import native
from streams.coverage import Coverage
from streams.kafka.record_batches import KEPT_HEADERS, KeptRecords, unpacked
from streams.one_source import _SLOTS
from streams.plain_events import OTHER_PLACES
from streams.projection import NO_STATE
from streams.records import LATE, ORIGIN, Headers
from streams.table import END_OF_ONE, OpenEntry, TablePartition
from tests.unit.streams.folding_forms import FORMS, needs_c
from tests.unit.streams.plain_world import SOURCE, Unopened, World, checked, note, read
from tests.unit.streams.tabling import event, named
from tests.unit.streams.test_one_source import BEGINNING, EXPECTED, KEY, entries_in, partition_with

LOG_PARTITION = KafkaPartition("t", 3)


class Emptied(OpenEntry):
    """An entry that empties the dictionary that it is in."""

    __slots__ = ("holder",)

    holder: dict[bytes, OpenEntry]

    def encode(self, generation: int) -> bytes:
        self.holder.clear()
        return b"%d" % generation


@needs_c
def test_entries_that_go_away_while_they_are_encoded_do_no_harm() -> None:
    holder: dict[bytes, OpenEntry] = {}

    def put(key: bytes) -> None:
        entry = Emptied(EXPECTED, None)
        entry.holder, entry.is_changed = holder, True
        holder[key] = entry

    for number in range(10):
        put(b"a key of its own: %d" % number)
    found = entries_in(FORMS[-1], partition_with(None)).encode(holder, 6)
    assert found == {b"a key of its own: 0": b"6"}


@needs_c
@pytest.mark.parametrize("given_", [([], 5), ({},), ({}, 5, True), (None, 5)])
def test_what_is_no_dictionary_of_entries_is_refused_in_c(given_: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError):
        entries_in(FORMS[-1], partition_with(None)).encode(*given_)


@needs_c
@pytest.mark.parametrize("key", [None, "k", 1, bytearray(b"k")])
def test_a_key_that_is_no_bytes_is_left_to_python(key: Any) -> None:
    assert entries_in(FORMS[-1], partition_with(None)).open(key) is None


def made_of_entries() -> list[Any]:
    """What entries in C are made of."""
    slots = tuple(OpenEntry.__dict__[name] for name in _SLOTS)
    functions = (lambda _key: None, dict, orjson.loads, orjson.dumps)
    return [OpenEntry, slots, EXPECTED, SOURCE, BEGINNING, END_OF_ONE, NO_STATE, ({},), functions]


@needs_c
@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        (0, 1),
        (0, dict),
        (1, ()),
        (1, (OpenEntry.__dict__["_covered"],) * 6),
        (1, (OpenEntry.coverage,) * 7),
        (1, ("state",) * 7),
        (1, (TablePartition.__dict__["store"],) * 7),
        (3, b"t/3"),
        (4, "text"),
        (5, "text"),
        (6, None),
        (7, [{}]),
        (7, ({}, None)),
        (7, (OrderedDict(),)),
        (8, (dict, dict, dict)),
        (8, [dict] * 4),
    ],
)
def test_what_entries_are_not_made_of_is_refused_in_c(place: int, wrong: Any) -> None:
    made_of = made_of_entries()
    assert native.folding.OneSourceEntries(*made_of).open(KEY).state == {}
    made_of[place] = wrong
    with pytest.raises((TypeError, ValueError)):
        native.folding.OneSourceEntries(*made_of)
    with pytest.raises(TypeError):
        native.folding.OneSourceEntries(*made_of_entries(), a=1)


def altered(good: Any, **fields: Any) -> Any:
    """With fields that are no such fields."""
    return good._replace(**fields)


@needs_c
@pytest.mark.parametrize(
    "pair",
    [
        (("t", 3, 5), event(1)),
        ((*read(5), 1), event(1)),
        (read(5), None),
        (read(5), named(b"bytes")),  # type: ignore[arg-type]  # on purpose
        (altered(read(5), headers=[]), event(1)),
        (altered(read(5), headers=((1, 2, 3),)), event(1)),
        (altered(read(5), headers=(["name", b""],)), event(1)),
        (altered(read(5), offset=5.0), event(1)),
        (read(2**63), event(1)),
        (read(5), Event(altered(event(1).envelope, aggregate=("a", "b")), dict)),
        (read(5), Event(altered(event(1).envelope, aggregate=1), dict)),
    ],
)
@pytest.mark.parametrize("place", [0, 1])
def test_what_is_out_of_the_ordinary_is_left_to_python(pair: Any, place: int) -> None:
    world = World(FORMS[-1])
    part = [(read(0, b"z"), event(9))]
    part.insert(place, pair)
    assert world.open(part) is None
    assert world.places() == {}


@needs_c
def test_an_event_without_an_id_is_left_to_python() -> None:
    world = World(FORMS[-1])
    empty = Event.__new__(Event)
    assert world.open([(read(0, b"z"), event(9)), (read(1), empty)]) is None
    world = World(FORMS[-1], has_versions=False)
    assert world.open([(read(0, b"z"), event(9)), (read(1), empty)]) is None
    assert world.places() == {}


@needs_c
def test_an_id_that_goes_away_while_entries_are_opened_does_no_harm() -> None:
    world, going = World(FORMS[-1]), event(1)

    def open_singly(_key: bytes) -> OpenEntry:
        del going._id
        raise Unopened

    with pytest.raises(Unopened):
        world.events.open(SOURCE, [read(1), read(2, b"\xff")], [going, event(2)], open_singly)


@needs_c
def test_what_opens_entries_must_give_entries() -> None:
    world = World(FORMS[-1])
    wrong: Any = {b"\xff": {}, b"a": {}}.get
    with pytest.raises(TypeError, match="no open entry"):
        world.events.open(SOURCE, [read(1), read(2, b"\xff")], [event(1), event(2)], wrong)
    assert world.places() == {}
    unset = OpenEntry(Coverage(), None)
    assert world.events.open(SOURCE, [read(1, b"\xff")], [event(1)], lambda _key: unset) is None


@needs_c
def test_a_part_is_folded_only_with_what_belongs_to_it() -> None:
    world = World(FORMS[-1])
    part = [(read(1), event(1)), (read(2), event(2))]
    opened: Any = world.open(part)
    for wrong in (opened[:1], [], [opened[0], None], [opened[0], {}]):
        with pytest.raises((TypeError, ValueError)):
            world.fold(part, wrong)
    with pytest.raises(TypeError):
        world.fold([(("t",), event(1))], opened[:1])  # type: ignore[list-item]  # on purpose
    with pytest.raises(ValueError, match="an event and an entry"):
        world.events.fold(note, checked, [read(1)], [], opened[:1])
    with pytest.raises(AttributeError):
        world.fold(part[:1], [OpenEntry(Coverage(), None)])


@needs_c
@pytest.mark.parametrize(
    "ask",
    [
        lambda events: events.open(SOURCE, [], []),
        lambda events: events.open(SOURCE, [], [], print, 1),
        lambda events: events.open(b"t/3", [], [], print),
        lambda events: events.open(SOURCE, None, [], print),
        lambda events: events.open(SOURCE, [], 1, print),
        lambda events: events.fold(note, checked, [], []),
        lambda events: events.fold(note, checked, None, [], []),
        lambda events: events.fold(note, checked, [], None, []),
        lambda events: events.fold(note, checked, [], [], None),
    ],
)
def test_other_arguments_are_refused_in_c(ask: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError):
        ask(World(FORMS[-1]).events)


def made_of_events() -> list[Any]:
    """What plain events in C are made of."""
    world, slots = World(FORMS[-1]), Event.__dict__
    return [
        *(Event, slots["_id"], slots["_aggregate"], OTHER_PLACES),
        *(world.entries, world.opened, world.ahead, world.claims, world.seen, True),
    ]


@needs_c
@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        (0, 1),
        (0, dict),
        (1, OpenEntry.__dict__["state"]),
        (1, "id"),
        (2, Event.framed),
        (3, {"a"}),
        (4, None),
        (5, []),
        (6, []),
        (7, {}),
        (8, []),
        (8, (None,)),
        (8, (FORMS[0].claims(),)),
    ],
)
def test_what_plain_events_are_not_made_of_is_refused_in_c(place: int, wrong: Any) -> None:
    made_of = made_of_events()
    assert native.folding.PlainEvents(*made_of).open(SOURCE, [], [], print) == []
    made_of[place] = wrong
    with pytest.raises(TypeError):
        native.folding.PlainEvents(*made_of)
    with pytest.raises(TypeError):
        native.folding.PlainEvents(*made_of_events(), a=1)


@needs_c
@pytest.mark.parametrize(
    ("names", "error"), [((1,), TypeError), (("a",) * 9, ValueError), (("\ud800",), UnicodeError)]
)
def test_names_that_no_header_has_are_refused_in_c(
    names: tuple[Any, ...], error: type[Exception]
) -> None:
    made_of = made_of_events()
    made_of[3] = names
    with pytest.raises(error):
        native.folding.PlainEvents(*made_of)


def kept(headers: Headers) -> Headers:
    """The headers as a record has them that was unpacked in C."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 20)
    builder.append(0, 1_000, b"a", b"", [*headers])
    batch = bytes(builder.build())
    records = PartitionRecords(
        LOG_PARTITION, KeptRecords(batch), None, 0, None, None, True, READ_UNCOMMITTED
    )
    ((record,),) = unpacked(LOG_PARTITION, records)
    found: Headers = record.headers
    return found


@needs_c
@pytest.mark.parametrize("name", [*OTHER_PLACES, ORIGIN[:-1], f"{LATE}r", "x", ""])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_headers_that_nobody_has_looked_at_tell_another_place_too(name: str, place: int) -> None:
    headers = [("ce_id", b"1"), ("ce_type", LATE.encode())]
    headers.insert(place, (name, b""))
    found = kept(tuple(headers))
    assert type(found) is KEPT_HEADERS
    for _ in ("as bytes", "as a tuple"):
        world = World(FORMS[-1])
        is_plain = world.open([(read(5, b"a", found), event(1))]) is not None
        assert is_plain == (name not in OTHER_PLACES)
        assert tuple(found) == tuple(headers)
