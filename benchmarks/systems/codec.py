"""Our codec: encode a new event, decode all of one, view the envelope and one field of one."""

from __future__ import annotations

import dataclasses
import json
from operator import attrgetter
from pathlib import Path
from typing import Any

from benchmarks.contract import MODULUS, RunConfig, event_sum
from benchmarks.operations import timed
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event

ENVELOPE = attrgetter(
    "id",
    "type",
    "category",
    "priority",
    "version",
    "timestamp_ms",
    "source",
    "correlation_id",
    "causation_id",
    "aggregate",
    "metadata",
)


def main() -> None:
    """Measure and print."""
    config = RunConfig.from_arguments()
    samples = json.loads(Path(config.options["samples"]).read_text())
    framed = [bytes.fromhex(text) for text in samples["framed"]]
    fields: dict[str, str] = samples["number_fields"]
    codec = Codec(Catalog.load())
    events = [codec.view(value) for value in framed]
    parts = [(event.envelope, event.data) for event in events]
    whole = {type(data): _all_fields(data) for _, data in parts}

    def encode() -> None:
        for envelope, data in parts:
            # A new event each time: one that was encoded before remembers its wire mapping.
            codec.encode(Event(envelope, data))

    def decode() -> None:
        for value in framed:
            event = codec.view(value)
            data = event.data
            ENVELOPE(event)
            whole[type(data)](data)

    def view() -> int:
        total = 0
        for value in framed:
            event = codec.view(value)
            total += len(event.type) + len(event.aggregate.id if event.aggregate else "")
            total += getattr(event.data, fields[event.type])
        return total

    _refuse_other_bytes(codec, parts, framed)
    passes = {"encode": encode, "decode": decode, "view": view}
    timed(passes, len(framed), config.seconds, _checksum(codec, framed, fields), {}).print()


def _all_fields(data: Any) -> attrgetter[Any]:
    return attrgetter(*(field.name for field in dataclasses.fields(data)))


def _refuse_other_bytes(codec: Codec, parts: list[tuple[Any, Any]], framed: list[bytes]) -> None:
    if [codec.encode(Event(envelope, data)) for envelope, data in parts] != framed:
        raise AssertionError("encoding what was decoded gave other bytes")


def _checksum(codec: Codec, framed: list[bytes], fields: dict[str, str]) -> int:
    total = 0
    for value in framed:
        event = codec.view(value)
        aggregate = event.aggregate.id if event.aggregate else ""
        total += event_sum(event.type, aggregate, int(getattr(event.data, fields[event.type])))
    return total % MODULUS


if __name__ == "__main__":
    main()
