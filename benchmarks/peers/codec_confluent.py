"""confluent-kafka's AvroSerializer and AvroDeserializer, with a registry in the process."""

from __future__ import annotations

import json
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any

from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from fastavro import parse_schema, schemaless_reader

from benchmarks.contract import MODULUS, RunConfig, event_sum
from benchmarks.operations import timed

HEADER = 5


def main() -> None:
    """Measure and print."""
    config = RunConfig.from_arguments()
    samples = json.loads(Path(config.options["samples"]).read_text())
    framed = [bytes.fromhex(text) for text in samples["framed"]]
    texts = {int(key): Path(file).read_text() for key, file in samples["schemas"].items()}
    registry = SchemaRegistryClient.new_client({"url": "mock://codec"})
    events = [_read(texts, value) for value in framed]
    # One topic for each type: the serializer's subject is named after it.
    contexts = {
        event["type"]: SerializationContext(event["type"], MessageField.VALUE) for event in events
    }
    serializers = {
        schema_id: AvroSerializer(registry, texts[schema_id])
        for schema_id in {_schema_id(value) for value in framed}
    }
    deserializer = AvroDeserializer(registry)
    work = [
        (serializers[_schema_id(value)], contexts[event["type"]], event)
        for value, event in zip(framed, events, strict=True)
    ]
    encoded = [(serializer(event, context), context) for serializer, context, event in work]

    def encode() -> None:
        for serializer, context, event in work:
            serializer(event, context)

    def decode() -> None:
        for value, context in encoded:
            deserializer(value, context)

    fields = samples["number_fields"]
    decoded = [deserializer(value, context) for value, context in encoded]
    checksum = sum(
        event_sum(it["type"], it["aggregate"]["id"], int(it["data"][fields[it["type"]]]))
        for it in decoded
    )
    timed(
        {"encode": encode, "decode": decode},
        len(framed),
        config.seconds,
        checksum % MODULUS,
        {"confluent-kafka": version("confluent-kafka")},
    ).print()


def _schema_id(value: bytes) -> int:
    return int.from_bytes(value[1:HEADER], "big")


def _read(texts: dict[int, str], value: bytes) -> Any:
    stream = BytesIO(value)
    stream.seek(HEADER)
    return schemaless_reader(stream, parse_schema(json.loads(texts[_schema_id(value)])), None)


if __name__ == "__main__":
    main()
