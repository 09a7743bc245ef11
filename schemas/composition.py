"""The record on the wire.

The envelope and a data record, composed; and the id that its content gives it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Self

from schemas.envelope import Category, Priority
from schemas.errors import InvalidWriterSchema
from schemas.framing import LOCK_BIT
from schemas.source import VERSION, SourceSchema, normalised

ENVELOPE_VERSION: Final = 1
"""Grows with every change of `ENVELOPE_FIELDS`, which may only add nullable fields."""

_NAMESPACE: Final = "wundr.envelope"


def _field(name: str, kind: Any, doc: str) -> dict[str, Any]:
    return {"name": name, "type": kind, "doc": doc}


def _nullable(name: str, kind: Any, doc: str) -> dict[str, Any]:
    return {"name": name, "type": ["null", kind], "default": None, "doc": doc}


_CATEGORY: Final = {
    "type": "enum",
    "name": "Category",
    "namespace": _NAMESPACE,
    "symbols": [category.value for category in Category],
}
_PRIORITY: Final = {
    "type": "enum",
    "name": "Priority",
    "namespace": _NAMESPACE,
    "symbols": [priority.name for priority in Priority],
}
_AGGREGATE: Final = {
    "type": "record",
    "name": "Aggregate",
    "namespace": _NAMESPACE,
    "fields": [
        _field("type", "string", "Kind of the aggregate."),
        _field("id", "string", "Which one of its kind."),
        _nullable("version", "long", "Position in its history, from 1; null when published."),
    ],
}
_METADATA: Final = {
    "type": "record",
    "name": "Metadata",
    "namespace": _NAMESPACE,
    "fields": [
        _nullable("userId", "string", "The user on whose behalf it happened."),
        _nullable("traceId", "string", "Trace of the request that caused it."),
        _nullable("retryCount", "int", "How often it was tried before."),
        _field("extra", {"type": "map", "values": "string"}, "Whatever else travels with it."),
    ],
}
_TIMESTAMP: Final = {"type": "long", "logicalType": "timestamp-millis"}

ENVELOPE_FIELDS: Final[tuple[dict[str, Any], ...]] = (
    _field("id", "string", "Unique id of the event, a UUIDv7."),
    _field("type", "string", "Event type in dot notation, past tense."),
    _field("category", _CATEGORY, "Which part of the world it is about."),
    _field("priority", _PRIORITY, "How soon it is worked on."),
    _field("version", "string", "Version of the data's schema."),
    _field("timestamp", _TIMESTAMP, "When it happened, UTC."),
    _field("source", "string", "Who published it."),
    _nullable("correlationId", "string", "The request or run that it belongs to."),
    _nullable("causationId", "string", "The event that caused it."),
    _nullable("aggregate", _AGGREGATE, "The thing that it is about."),
    _field("metadata", _METADATA, "What travels with it without being part of what happened."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriterSchema:
    """A schema that events are written with. `id` is what stands in their bytes."""

    id: int
    type: str
    version: str
    composed_json: str

    @classmethod
    def from_json(cls, composed_json: str) -> Self:
        """The schema of a composed record; its id is computed. Raises InvalidWriterSchema."""
        try:
            schema = json.loads(composed_json)
            event_type, version = schema["eventType"], schema["schemaVersion"]
            is_ours = (
                schema["type"] == "record"
                and schema["fields"][-1]["name"] == "data"
                and schema["fields"][-1]["type"]["type"] == "record"
                and isinstance(event_type, str)
                and VERSION.fullmatch(version) is not None
            )
        except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
            raise InvalidWriterSchema(f"no composed schema: {error!r}") from error
        if not is_ours:
            raise InvalidWriterSchema("no composed record that ends with its data")
        text = normalised(schema)
        return cls(id=schema_id(text), type=event_type, version=version, composed_json=text)

    def record(self) -> dict[str, Any]:
        """The composed record."""
        record: dict[str, Any] = json.loads(self.composed_json)
        return record

    def data_record(self) -> dict[str, Any]:
        """The part that describes the data: the type of the last field."""
        record: dict[str, Any] = self.record()["fields"][-1]["type"]
        return record


def compose(source: SourceSchema) -> WriterSchema:
    """The composed schema of a hand-written data record."""
    return WriterSchema.from_json(normalised(composed_record(source)))


def composed_record(source: SourceSchema) -> Mapping[str, Any]:
    """Envelope and data as one Avro record, data last."""
    name = source.record["name"]
    return {
        "type": "record",
        "name": f"{name}Event",
        "namespace": source.record["namespace"],
        "doc": source.record.get("doc", ""),
        "eventType": source.type,
        "schemaVersion": source.version,
        "envelopeVersion": ENVELOPE_VERSION,
        **_protection(source),
        "fields": [*ENVELOPE_FIELDS, _field("data", source.record, "What happened.")],
    }


def _protection(source: SourceSchema) -> Mapping[str, Any]:
    """What a reader has to know to open personal fields; nothing where none is sealed."""
    attributes = source.attributes
    if attributes.subject is None:
        return {}
    return {"personal": list(attributes.personal), "subject": attributes.subject}


def schema_id(normalised_schema: str) -> int:
    """Bit 30 and 30 bits of the SHA-256 of the whole text.

    The same for everybody, without a service.
    """
    digest = sha256(normalised_schema.encode()).digest()
    return LOCK_BIT | int.from_bytes(digest[:4], "big") >> 2
