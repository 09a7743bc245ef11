from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.broadcast import browser_body, rooms
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.errors import InvalidEventData, KeysMissing, SealBroken, SubjectForgotten
from schemas.event import EventFactory
from schemas.key_ring import MemoryKeyRing, SubjectKey
from schemas.protection import ERASED, PROTECTED, PersonalFields, Protection
from schemas.sealing import Place, is_sealed, seal, unseal
from tests.unit.schemas.personal_orders import ORDERED, order, order_catalog, order_data

CATALOG = order_catalog()
FIELDS = PersonalFields(event_type=ORDERED, names=("name", "photo"), subject="buyerId")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
SUBJECTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1)
NAME = Place(ORDERED, "name")
ADA = SubjectKey(id="a" * 22, subject="ada", secret=b"1" * 32)


@given(name=TEXTS, photo=st.binary(), subject=SUBJECTS.filter(lambda text: len(text) < 100))
def test_what_was_sealed_is_read_as_it_was_and_stands_nowhere_in_the_bytes(
    name: str, photo: bytes, subject: str
) -> None:
    codec = Codec(CATALOG, keys=MemoryKeyRing())
    event = order(CATALOG, name="name:" + name, photo=b"photo:" + photo, buyerId=subject)
    framed = codec.encode(event)
    assert b"name:" not in framed
    assert b"photo:" not in framed
    assert codec.view(framed).payload == event.payload
    assert codec.view(framed).data == event.payload


def test_an_event_that_is_emitted_again_has_the_same_bytes_and_another_one_has_not() -> None:
    keys = MemoryKeyRing()
    event = order(CATALOG)
    assert Codec(CATALOG, keys=keys).encode(event) == Codec(CATALOG, keys=keys).encode(event)
    protection = Protection(FIELDS, keys)
    sealed = {
        protection.sealed(order_data(name=name), event_id)["name"]
        for name in ("Ada", "Bob")
        for event_id in ("e1", "e2")
    }
    assert len(sealed) == 4


@given(at=st.integers(min_value=0), value=TEXTS, mask=st.integers(1, 255))
def test_a_changed_value_does_not_open(at: int, value: str, mask: int) -> None:
    sealed = bytearray(seal(value.encode(), NAME, ADA, "e1"))
    begin = len("wundr.1.") + len(ADA.id) + 1
    at = begin + at % (len(sealed) - begin)
    sealed[at] ^= mask
    with pytest.raises(SealBroken):
        unseal(bytes(sealed), NAME, ADA)


@given(value=TEXTS, end=st.integers(min_value=9))
def test_a_value_that_was_cut_does_not_open(value: str, end: int) -> None:
    sealed = seal(value, NAME, ADA, "e1")
    with pytest.raises(SealBroken):
        unseal(sealed[: end % len(sealed)], NAME, ADA)


@pytest.mark.parametrize(
    ("place", "subject"),
    [
        (Place(ORDERED, "photo"), "ada"),
        (Place("order.sent", "name"), "ada"),
        (NAME, "bob"),
    ],
    ids=["another field", "another type", "another subject"],
)
def test_a_value_opens_only_where_it_was_sealed(place: Place, subject: str) -> None:
    sealed = seal("Ada", NAME, ADA, "e1")
    key = SubjectKey(id=ADA.id, subject=subject, secret=ADA.secret)
    with pytest.raises(SealBroken):
        unseal(sealed, place, key)


def test_a_value_moved_to_the_event_of_another_subject_does_not_open() -> None:
    protection = Protection(FIELDS, MemoryKeyRing())
    of_bob = protection.sealed(order_data(buyerId="bob", name="Bob"), "e1")
    with pytest.raises(SealBroken):
        protection.opened({**protection.sealed(order_data(), "e1"), "name": of_bob["name"]})


def test_a_subject_that_is_personal_itself_is_sealed_and_still_bound() -> None:
    fields = PersonalFields(event_type=ORDERED, names=("buyerId", "name"), subject="buyerId")
    protection = Protection(fields, MemoryKeyRing())
    sealed = protection.sealed(order_data(), "e1")
    assert is_sealed(sealed["buyerId"])
    assert protection.opened(sealed) == order_data()
    of_bob = protection.sealed(order_data(buyerId="bob"), "e1")
    for moved in ("buyerId", "name"):
        with pytest.raises(SealBroken):
            protection.opened({**sealed, moved: of_bob[moved]})


def test_a_forgotten_subject_is_shown_as_erased_and_others_are_not() -> None:
    keys = MemoryKeyRing()
    codec = Codec(CATALOG, keys=keys)
    of_ada, of_bob = (codec.encode(order(CATALOG, buyerId=name)) for name in ("ada", "bob"))
    keys.forget("ada")
    assert codec.view(of_ada).payload == order_data(name=ERASED, photo=ERASED.encode())
    assert codec.view(of_bob).payload == order_data(buyerId="bob")


def test_no_key_is_made_for_a_forgotten_subject() -> None:
    keys = MemoryKeyRing()
    keys.forget("ada")
    with pytest.raises(SubjectForgotten):
        Codec(CATALOG, keys=keys).encode(order(CATALOG))


def test_a_process_without_keys_cannot_publish_personal_data_and_reads_placeholders() -> None:
    with_keys, without = Codec(CATALOG, keys=MemoryKeyRing()), Codec(CATALOG)
    with pytest.raises(KeysMissing, match=r"order\.placed") as refused:
        without.encode(order(CATALOG))
    assert "WUNDR_KEYS_DSN" in refused.value.remedy
    framed = with_keys.encode(order(CATALOG))
    assert without.view(framed).payload == order_data(name=PROTECTED, photo=PROTECTED.encode())


def test_where_nothing_personal_is_said_no_keys_are_asked_for() -> None:
    event = order(CATALOG, name=None, photo=None)
    codec = Codec(CATALOG)
    assert codec.view(codec.encode(event)).payload == event.payload


def test_what_was_erased_is_passed_on_and_what_cannot_be_read_is_not() -> None:
    codec = Codec(CATALOG, keys=MemoryKeyRing())
    erased = order(CATALOG, name=ERASED, photo=None)
    assert codec.view(codec.encode(erased)).payload == erased.payload
    with pytest.raises(KeysMissing):
        codec.encode(order(CATALOG, name=PROTECTED))


@pytest.mark.parametrize("subject", ["", "a\x00b", "x" * 501, "\ud800", ERASED])
def test_a_subject_that_no_key_can_have_is_refused(subject: str) -> None:
    with pytest.raises(InvalidEventData, match=r"data\.buyerId"):
        Protection(FIELDS, MemoryKeyRing()).sealed(order_data(buyerId=subject), "e1")


def test_half_a_surrogate_pair_is_refused_by_its_path() -> None:
    with pytest.raises(InvalidEventData, match=r"data\.name"):
        Protection(FIELDS, MemoryKeyRing()).sealed(order_data(name="\ud800"), "e1")


@pytest.mark.parametrize("wrong", [1, ["Ada"], {"a": "Ada"}])
def test_a_personal_value_of_another_type_is_named_by_the_check_of_the_schema(wrong: Any) -> None:
    codec = Codec(CATALOG, keys=MemoryKeyRing())
    event = order(CATALOG)
    event._data = order_data(name=wrong)
    with pytest.raises(InvalidEventData, match=r"data\.name"):
        codec.encode(event)


def test_as_stored_nobody_sees_personal_data_with_or_without_keys() -> None:
    keys = MemoryKeyRing()
    event = order(CATALOG)
    framed = Codec(CATALOG, keys=keys).encode(event)
    for codec in (Codec(CATALOG, keys=keys), Codec(CATALOG)):
        stored = codec.as_stored(event, framed).payload
        assert is_sealed(stored["name"])
        assert is_sealed(stored["photo"])
        assert stored["orderId"] == "o1"


def test_an_event_without_personal_fields_is_stored_as_it_is() -> None:
    catalog = order_catalog(personal=[], subject=None)
    codec = Codec(catalog)
    event = order(catalog)
    assert codec.as_stored(event, codec.encode(event)) is event


def test_the_wire_schema_says_what_is_sealed_and_is_as_before_where_nothing_is() -> None:
    with_fields = CATALOG.writer_schema(ORDERED, "1.0.0").record()
    assert (with_fields["personal"], with_fields["subject"]) == (["name", "photo"], "buyerId")
    plain = order_catalog(personal=[], subject=None).writer_schema(ORDERED, "1.0.0").record()
    assert not {"personal", "subject"} & plain.keys()


def test_a_reader_that_never_heard_of_the_type_opens_what_the_writer_schema_names() -> None:
    keys = MemoryKeyRing()
    framed = Codec(CATALOG, keys=keys).encode(order(CATALOG))
    reader = Codec(Catalog([]), keys=keys)
    reader.learn(CATALOG.writer_schema(ORDERED, "1.0.0").composed_json)
    assert reader.view(framed).payload == order_data()


def test_a_browser_sees_a_personal_field_only_where_the_schema_says_so_twice() -> None:
    event = order(CATALOG)
    fields = ["orderId", "name"]
    hidden = order_catalog(broadcast={"rules": ["project"], "fields": fields}).get(ORDERED)
    assert browser_body(event, hidden)["data"] == {"orderId": "o1"}
    shown = {"rules": ["project"], "fields": fields, "personal": ["name"]}
    assert browser_body(event, order_catalog(broadcast=shown).get(ORDERED))["data"] == {
        "orderId": "o1",
        "name": "Ada",
    }


def test_no_room_is_named_after_a_user_who_cannot_be_read() -> None:
    catalog = Catalog.load()
    known = catalog.get("ui.dashboard.opened")
    for placeholder in (ERASED, PROTECTED):
        data = {"projectId": "p", "userId": placeholder}
        event = EventFactory(catalog, "tests").create_from_mapping(known.name, data)
        assert rooms(event, known) == ()
