from typing import Any

import pytest

from schemas.errors import Fault
from schemas.lint import lint
from schemas.source import FileFaults, read_source
from tests.unit.schemas.schema_files import field, record, source


def only(faults: list[Fault]) -> Fault:
    assert len(faults) == 1, faults
    return faults[0]


def test_a_sound_file_has_no_fault() -> None:
    assert lint([source()]) == []


@pytest.mark.parametrize(
    ("changed", "path", "problem"),
    [
        ({"doc": ""}, "doc", "no doc"),
        ({"more": [{"name": "note", "type": "string"}]}, "note", "no doc"),
        ({"more": [field("note", "string", aliases=["remark"])]}, "note", "alias"),
        ({"more": [field("note", ["null", "string", "int"])]}, "note", "union"),
        ({"more": [field("note", ["string", "int"])]}, "note", "union"),
        (
            {"more": [field("kind", {"type": "enum", "name": "Kind", "symbols": ["A"]})]},
            "kind",
            "without default",
        ),
        (
            {"more": [field("at", {"type": "long", "logicalType": "local-timestamp-millis"})]},
            "at",
            "logical type",
        ),
        (
            {
                "more": [
                    field(
                        "items",
                        {
                            "type": "array",
                            "items": {
                                "type": "record",
                                "name": "Item",
                                "doc": "An item.",
                                "fields": [{"name": "price", "type": "double"}],
                            },
                        },
                    )
                ]
            },
            "items[].price",
            "no doc",
        ),
        ({"more": [field("note", "strnig")]}, "", "no Avro schema"),
        ({"wundr": {"key": "id"}}, "wundr.key", "'id' is no field"),
        ({"wundr": {"personal": ["seller"]}}, "wundr.personal", "'seller' is no field"),
        (
            {"wundr": {"broadcast": {"rules": ["project"], "fields": ["order"]}}},
            "wundr.broadcast.fields",
            "'order' is no field",
        ),
        (
            {"wundr": {"broadcast": {"rules": ["project"], "fields": ["buyer"]}}},
            "wundr.broadcast.fields",
            "'buyer' is personal",
        ),
        (
            {"wundr": {"broadcast": {"rules": ["project"], "fields": [], "personal": ["buyer"]}}},
            "wundr.broadcast.personal",
            "'buyer' is not both",
        ),
        ({"wundr": {"subject": None}}, "wundr.subject", "is missing"),
        ({"wundr": {"personal": []}}, "wundr.subject", "whose personal data"),
        ({"wundr": {"subject": "seller"}}, "wundr.subject", "'seller' is no field"),
        (
            {"wundr": {"subject": "age"}, "more": [field("age", "int")]},
            "wundr.subject",
            "'age' is no string",
        ),
        *(
            (
                {"wundr": {"personal": ["mark"]}, "more": [field("mark", kind)]},
                "wundr.personal",
                "'mark' is neither",
            )
            for kind in (
                "int",
                {"type": "string", "logicalType": "uuid"},
                ["null", "boolean"],
                {"type": "array", "items": "string"},
            )
        ),
        (
            {"wundr": {"broadcast": {"rules": ["system"], "fields": ["orderId"]}}},
            "wundr.broadcast.rules",
            "under `system.`",
        ),
        (
            {"wundr": {"broadcast": {"rules": [], "fields": []}}},
            "wundr.broadcast.rules",
            "is empty",
        ),
    ],
)
def test_a_fault_is_told_with_its_path(changed: dict[str, Any], path: str, problem: str) -> None:
    fault = only(lint([source(**changed)]))
    assert (fault.file, fault.path) == ("domain/order.placed/1.0.0.avsc", path)
    assert problem in fault.problem
    assert fault.remedy


def test_the_project_rule_needs_the_project_id() -> None:
    fields = [field("orderId", "string"), field("buyer", "string")]
    assert "projectId" in only(lint([source(fields=fields)])).problem


@pytest.mark.parametrize(
    ("wundr", "path"),
    [
        ({"priority": "high"}, "wundr.priority"),
        ({"aggregate": "Basket"}, "wundr.aggregate"),
        ({"key": "projectId"}, "wundr.key"),
        ({"appended": True}, "wundr.appended"),
    ],
)
def test_what_decides_topic_and_order_is_kept_in_all_versions(
    wundr: dict[str, Any], path: str
) -> None:
    fault = only(lint([source(), source("1.1.0", wundr=wundr)]))
    assert (fault.file, fault.path) == ("domain/order.placed/1.1.0.avsc", path)


def test_a_record_keeps_its_name_within_a_major_and_changes_it_with_the_next() -> None:
    assert lint([source(), source("2.0.0", name="OrderPlaced2")]) == []
    assert only(lint([source(), source("1.1.0", name="OrderPlaced2")])).path == "name"
    assert only(lint([source(), source("2.0.0")])).path == "name"


def test_two_types_cannot_share_a_class_name() -> None:
    fault = only(lint([source(), source(event_type="order.sent")]))
    assert "domain/order.placed/1.0.0.avsc" in fault.problem


@pytest.mark.parametrize(
    ("wundr", "problem"),
    [
        ({"aggregate": None, "key": None}, "about an aggregate"),
        ({"priority": "critical"}, "CRITICAL"),
        ({"appended": True}, "appended"),
        ({"broadcast": {"rules": ["project", "user"], "fields": [], "compressible": True}}, "one"),
    ],
)
def test_a_browser_may_be_shown_the_last_alone_only_of_what_is_a_state(
    wundr: dict[str, Any], problem: str
) -> None:
    shown = {"rules": ["project"], "fields": ["orderId"], "compressible": True}
    assert lint([source(wundr={"broadcast": shown})]) == []
    fault = only(lint([source(wundr={"broadcast": shown} | wundr)]))
    assert fault.path == "wundr.broadcast.compressible"
    assert problem in fault.problem


def test_all_types_of_an_appended_aggregate_share_one_topic() -> None:
    placed = source(wundr={"appended": True})
    sent = {"event_type": "order.sent", "name": "OrderSent"}
    assert lint([placed, source(**sent, wundr={"appended": True})]) == []
    elsewhere = source(**sent, wundr={"appended": True, "priority": "low"})
    assert only(lint([placed, elsewhere])).path == "wundr.aggregate"
    assert only(lint([placed, source(**sent)])).path == "wundr.aggregate"


def test_all_faults_of_all_files_are_told_at_once() -> None:
    wrong = source(doc="", wundr={"key": "id"}, more=[{"name": "note", "type": "string"}])
    other = source(event_type="order.sent", name="OrderSent", doc="")
    assert len(lint([wrong, other])) == 4


@pytest.mark.parametrize(
    ("file", "changed", "path"),
    [
        ("order.placed/1.0.0.avsc", {}, ""),
        ("sales/order.placed/1.0.0.avsc", {"namespace": "wundr.sales"}, ""),
        ("domain/OrderPlaced/1.0.0.avsc", {}, ""),
        ("domain/order.placed/1.0.avsc", {}, ""),
        ("system/order.placed/1.0.0.avsc", {}, "namespace"),
        ("domain/order.placed/1.0.0.avsc", {"type": "enum"}, "type"),
        ("domain/order.placed/1.0.0.avsc", {"name": "order placed"}, "name"),
        ("domain/order.placed/1.0.0.avsc", {"fields": "none"}, "fields"),
        ("domain/order.placed/1.0.0.avsc", {"wundr": {"priority": "urgent"}}, "wundr.priority"),
        ("domain/order.placed/1.0.0.avsc", {"wundr": {"owner": None}}, "wundr.owner"),
        ("domain/order.placed/1.0.0.avsc", {"wundr": {"speed": "fast"}}, "wundr.speed"),
        ("domain/order.placed/1.0.0.avsc", {"wundr": {"broadcast": "all"}}, "wundr.broadcast"),
        (
            "domain/order.placed/1.0.0.avsc",
            {"wundr": {"broadcast": {"rules": ["everyone"], "fields": []}}},
            "wundr.broadcast.rules",
        ),
        (
            "domain/order.placed/1.0.0.avsc",
            {"wundr": {"broadcast": {"rules": ["user"], "fields": [], "compressible": "yes"}}},
            "wundr.broadcast.compressible",
        ),
    ],
)
def test_a_file_that_cannot_be_taken_in_says_where_it_is_wrong(
    file: str, changed: dict[str, Any], path: str
) -> None:
    with pytest.raises(FileFaults) as refused:
        read_source(file, record(**changed))
    assert path in [fault.path for fault in refused.value.faults]


def test_a_file_without_the_wundr_attribute_is_refused() -> None:
    bare = record()
    del bare["wundr"]
    with pytest.raises(FileFaults) as refused:
        read_source("domain/order.placed/1.0.0.avsc", bare)
    assert [fault.path for fault in refused.value.faults] == ["wundr"]


@pytest.mark.parametrize("kind", ["string", "bytes", ["null", "string"], ["null", "bytes"]])
def test_texts_and_bytes_of_a_person_may_be_personal(kind: Any) -> None:
    more = [field("mark", kind)]
    assert lint([source(wundr={"personal": ["mark"]}, more=more)]) == []


def test_a_personal_field_is_shown_when_the_schema_says_so_twice() -> None:
    broadcast = {"rules": ["project"], "fields": ["buyer"], "personal": ["buyer"]}
    assert lint([source(wundr={"broadcast": broadcast})]) == []


def test_what_is_personal_stays_so_in_later_versions() -> None:
    later = source("1.1.0", wundr={"personal": [], "subject": None})
    fault = only(lint([source(), later]))
    assert (fault.path, "'buyer'" in fault.problem) == ("wundr.personal", True)
