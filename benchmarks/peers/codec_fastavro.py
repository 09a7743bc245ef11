"""fastavro by itself, with schemas that are parsed once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
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

    events = [read(value) for value in framed]
    work = [
        (value[:HEADER], schemas[int.from_bytes(value[1:HEADER], "big")], event)
        for value, event in zip(framed, events, strict=True)
    ]

    def encode() -> None:
        for header, schema, event in work:
            stream = BytesIO()
            stream.write(header)
            schemaless_writer(stream, schema, event)
            stream.getvalue()

    def decode() -> None:
        for value in framed:
            read(value)

    passes = {"encode": encode, "decode": decode}
    checksum = checksum_of(events, samples["number_fields"])
    installed = {"fastavro": version("fastavro")}
    timed(passes, len(framed), config.seconds, checksum, installed).print()


def checksum_of(events: Iterable[Any], fields: Mapping[str, str]) -> int:
    """The checksum of events that were decoded whole."""
    sums = (
        event_sum(it["type"], it["aggregate"]["id"], int(it["data"][fields[it["type"]]]))
        for it in events
    )
    return sum(sums) % MODULUS


if __name__ == "__main__":
    main()
