"""Reads data that were written with another version than the one this process knows.

fastavro resolves the one against the other, in the ways of the Avro specification.
"""

from collections.abc import Mapping
from io import BytesIO
from typing import Any

from fastavro import parse_schema, schemaless_reader
from fastavro.read import SchemaResolutionError

from schemas.data_reader import DAMAGED, ReadData, left_over
from schemas.errors import TruncatedEvent


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
