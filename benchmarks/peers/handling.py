"""What every peer with fastavro does to an event: decode all of it, read three things."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from fastavro import parse_schema, schemaless_reader

from benchmarks.contract import Meter, RunConfig

HEADER = 5


def schema_reader(schemas: Mapping[str, str]) -> Callable[[bytes], Any]:
    """Reads a framed event whole, by the schema that its frame names."""
    parsed = {
        int(schema_id).to_bytes(4, "big"): parse_schema(json.loads(Path(file).read_text()))
        for schema_id, file in schemas.items()
    }

    def read(value: bytes) -> Any:
        stream = BytesIO(value)
        return schemaless_reader(stream, parsed[stream.read(HEADER)[1:]], None)

    return read


def handler(config: RunConfig, meter: Meter) -> Callable[[Any], None]:
    """The work on one event: read it, or count and sum per aggregate as well."""
    handled = meter.handled
    totals: dict[str, list[int]] = {}

    def read(event: Any) -> None:
        handled(event["type"], event["aggregate"]["id"], event["data"]["lines"])

    def project(event: Any) -> None:
        aggregate, lines = event["aggregate"]["id"], event["data"]["lines"]
        total = totals.get(aggregate)
        if total is None:
            total = totals[aggregate] = [0, 0]
        total[0] += 1
        total[1] += lines
        handled(event["type"], aggregate, lines)

    return project if config.options["mode"] == "projection" else read
