"""Reads data that were written with another version than the one this process knows.

Versions that differ by whole fields, which is how they grow, can be read by generated code. For all
others fastavro resolves the one against the other, in the ways of the Avro specification.
"""

from collections.abc import Mapping
from io import BytesIO
from typing import Any

from fastavro import parse_schema, schemaless_reader
from fastavro.read import SchemaResolutionError

from schemas.data_reader import DAMAGED, ReadData, left_over
from schemas.errors import TruncatedEvent
from schemas.field_lint import PRIMITIVES


def differs_by_fields(written: Mapping[str, Any], known: Mapping[str, Any]) -> bool:
    """Whether two records have the same fields but for whole ones, if at all.

    Those that are missing where the data were written have a default that can be taken as it is.
    """
    types = {field["name"]: field["type"] for field in written["fields"]}
    return written["name"] == known["name"] and all(
        "aliases" not in field
        and (types[field["name"]] == field["type"] if field["name"] in types else _is_plain(field))
        for field in known["fields"]
    )


def _is_plain(field: Mapping[str, Any]) -> bool:
    """Whether a field has a default, and a type of which nothing has to be made."""
    kind = field["type"]
    kinds = kind if isinstance(kind, list) else [kind]
    return "default" in field and all(
        isinstance(branch, str) and branch in PRIMITIVES for branch in kinds
    )


def compile_resolving_reader(written: Mapping[str, Any], known: Mapping[str, Any]) -> ReadData:
    """The reader of one data record that gives wire mappings of another."""
    writer_schema, reader_schema = parse_schema(dict(written)), parse_schema(dict(known))

    def read(framed: bytes, offset: int) -> Mapping[str, Any]:
        stream = BytesIO(framed)
        stream.seek(offset)
        try:
            payload = schemaless_reader(stream, writer_schema, reader_schema)
        except (SchemaResolutionError, *DAMAGED) as error:
            raise TruncatedEvent(f"the data cannot be read ({error})") from error
        if stream.tell() != len(framed) or not isinstance(payload, dict):
            raise TruncatedEvent(left_over(framed, stream.tell()))
        return payload

    return read
