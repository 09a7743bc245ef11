"""Schema files made in a test: one sound record, and what is changed of it."""

from typing import Any

from schemas.source import SourceSchema, read_source


def record(**changed: Any) -> dict[str, Any]:
    """A schema file without a fault, but for what is changed of it."""
    sound: dict[str, Any] = {
        "type": "record",
        "name": "OrderPlaced",
        "namespace": "wundr.domain",
        "doc": "Somebody ordered something.",
        "wundr": {
            "priority": "normal",
            "aggregate": "Order",
            "key": "orderId",
            "owner": "shop",
            "broadcast": {"rules": ["project"], "fields": ["orderId"]},
            "personal": ["buyer"],
            "subject": "buyer",
        },
        "fields": [
            {"name": "orderId", "type": "string", "doc": "The order."},
            {"name": "projectId", "type": "string", "doc": "The project."},
            {"name": "buyer", "type": "string", "doc": "Who ordered."},
        ],
    }
    wundr = sound["wundr"] | changed.pop("wundr", {})
    more = changed.pop("more", [])
    return sound | {"wundr": wundr, "fields": sound["fields"] + more} | changed


def field(name: str, kind: Any, **attributes: Any) -> dict[str, Any]:
    """A field with its doc."""
    return {"name": name, "type": kind, "doc": f"The {name}."} | attributes


def source(
    version: str = "1.0.0", event_type: str = "order.placed", **changed: Any
) -> SourceSchema:
    """The file of a record."""
    return read_source(f"domain/{event_type}/{version}.avsc", record(**changed))
