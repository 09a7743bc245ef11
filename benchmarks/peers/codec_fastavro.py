"""fastavro by itself, with schemas that are parsed once."""

from __future__ import annotations

import json
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any

from fastavro import parse_schema, schemaless_reader, schemaless_writer

from benchmarks.contract import MODULUS, RunConfig, event_sum
from benchmarks.operations import timed

HEADER = 5


def main() -> None:
    """Measure and print."""
    config = RunConfig.from_arguments()
    samples = json.loads(Path(config.options["samples"]).read_text())
    framed = [bytes.fromhex(text) for text in samples["framed"]]
    schemas = {
        int(schema_id): parse_schema(json.loads(Path(file).read_text()))
        for schema_id, file in samples["schemas"].items()
    }

    def read(value: bytes) -> Any:
        stream = BytesIO(value)
        schema = schemas[int.from_bytes(stream.read(HEADER)[1:], "big")]
        return schemaless_reader(stream, schema, None)

    def write(header: bytes, schema: Any, event: Any) -> bytes:
        stream = BytesIO()
        stream.write(header)
        schemaless_writer(stream, schema, event)
        return stream.getvalue()

    headers = [value[:HEADER] for value in framed]
    events = [
        (header, schemas[int.from_bytes(header[1:], "big")], read(value))
        for header, value in zip(headers, framed, strict=True)
    ]

    def encode() -> None:
        for header, schema, event in events:
            write(header, schema, event)

    def decode() -> None:
        for value in framed:
            read(value)

    fields = samples["number_fields"]
    checksum = sum(
        event_sum(
            event["type"], event["aggregate"]["id"], int(event["data"][fields[event["type"]]])
        )
        for _, _, event in events
    )
    timed(
        {"encode": encode, "decode": decode},
        len(framed),
        config.seconds,
        checksum % MODULUS,
        {"fastavro": version("fastavro")},
    ).print()


if __name__ == "__main__":
    main()
