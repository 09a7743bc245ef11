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

from benchmarks.contract import RunConfig
from benchmarks.operations import timed
from benchmarks.peers.codec_fastavro import checksum_of

HEADER = 5


def main() -> None:
    """Measure and print."""
    config = RunConfig.from_arguments()
    samples = json.loads(Path(config.options["samples"]).read_text())
    framed = [bytes.fromhex(text) for text in samples["framed"]]
    texts = {int(key): Path(file).read_text() for key, file in samples["schemas"].items()}
    registry = SchemaRegistryClient.new_client({"url": "mock://codec"})
    serializers = {
        schema_id: AvroSerializer(registry, texts[schema_id])
        for schema_id in {_schema_id(value) for value in framed}
    }
    deserializer = AvroDeserializer(registry)
    work = []
    for value in framed:
        event = _read(texts, value)
        # One topic for each type: the serializer's subject is named after it.
        context = SerializationContext(event["type"], MessageField.VALUE)
        work.append((serializers[_schema_id(value)], context, event))
    encoded = [(serializer(event, context), context) for serializer, context, event in work]

    def encode() -> None:
        for serializer, context, event in work:
            serializer(event, context)

    def decode() -> None:
        for value, context in encoded:
            deserializer(value, context)

    decoded = [deserializer(value, context) for value, context in encoded]
    passes = {"encode": encode, "decode": decode}
    checksum = checksum_of(decoded, samples["number_fields"])
    installed = {"confluent-kafka": version("confluent-kafka")}
    timed(passes, len(framed), config.seconds, checksum, installed).print()


def _schema_id(value: bytes) -> int:
    return int.from_bytes(value[1:HEADER], "big")


def _read(texts: dict[int, str], value: bytes) -> Any:
    stream = BytesIO(value)
    stream.seek(HEADER)
    return schemaless_reader(stream, parse_schema(json.loads(texts[_schema_id(value)])), None)


if __name__ == "__main__":
    main()
