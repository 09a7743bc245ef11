"""What an event costs to encode and to decode, in one process without Kafka."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from benchmarks.bench import Bench, Driver, Stage, TimedRuns
from benchmarks.goals import Measured, at_least, at_most
from benchmarks.samples import NUMBER_FIELDS, Producers, mixed_events, schema_files
from benchmarks.system import OURS, Environment, System
from schemas.catalog import Catalog
from schemas.codec import Codec

EVENTS: Final = 10_000
FASTAVRO: Final = "fastavro"
CONFLUENT: Final = "confluent-kafka"


def write_samples(folder: Path) -> dict[str, str]:
    """The bytes that all systems read, in a file; what they need to know of it as options."""
    catalog = Catalog.load()
    codec = Codec(catalog)
    events = mixed_events(Producers(catalog), EVENTS)
    file = folder / "codec-samples.json"
    content = {
        "framed": [codec.encode(event).hex() for event in events],
        "schemas": schema_files(catalog),
        "number_fields": NUMBER_FIELDS,
    }
    file.write_text(json.dumps(content))
    return {"samples": str(file)}


def driver(stage: Stage) -> Driver:
    """Each system decides by itself how often it goes over the samples."""
    return TimedRuns(stage, write_samples)


BENCH: Final = Bench(
    name="codec",
    question="What does an event cost to encode and decode?",
    unit="round trips/s",
    needs_kafka=False,
    driver=driver,
    systems=(
        System(
            name=OURS,
            module="benchmarks.systems.codec",
            environment=Environment.PROJECT,
            settings={
                "encode": "Codec.encode of a new Event, validated",
                "decode": "Codec.view, then every attribute of the envelope and the data",
                "view": "Codec.view, then type, aggregate id and one field of the data",
            },
        ),
        System(
            name=FASTAVRO,
            module="benchmarks.peers.codec_fastavro",
            settings={
                "schema": "parsed once",
                "encode": "schemaless_writer into a BytesIO, after the frame",
                "decode": "schemaless_reader from a BytesIO, behind the frame",
            },
        ),
        System(
            name=CONFLUENT,
            module="benchmarks.peers.codec_confluent",
            settings={
                "registry": "mock://, in the process; schemas are cached after the first event",
                "encode": "AvroSerializer, auto.register.schemas",
                "decode": "AvroDeserializer without a schema of its own",
            },
        ),
    ),
    goals=(
        at_most(
            1.15,
            "full encode + decode <= 1.15 x raw fastavro",
            Measured(OURS, "round_trip_us"),
            Measured(FASTAVRO, "round_trip_us"),
        ),
        at_least(
            2.0,
            "envelope + one data field >= 2 x faster than fastavro's full decode",
            Measured(FASTAVRO, "decode_us"),
            Measured(OURS, "view_us"),
        ),
        at_least(
            3.0,
            ">= 3 x confluent-kafka's AvroSerializer",
            Measured(CONFLUENT, "encode_us"),
            Measured(OURS, "encode_us"),
        ),
        at_least(
            5.0,
            ">= 5 x confluent-kafka's AvroDeserializer",
            Measured(CONFLUENT, "decode_us"),
            Measured(OURS, "decode_us"),
        ),
    ),
)
