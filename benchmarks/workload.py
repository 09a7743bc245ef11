"""The topics that runs read: filled once, found again by the next bench."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from benchmarks import samples
from benchmarks.broker import Broker, NewRecord
from benchmarks.contract import event_sum
from benchmarks.samples import NUMBER_FIELDS, Producers, file_events, number_of
from benchmarks.suffixes import SuffixIndex
from benchmarks.system import Stream
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.envelope import Category, Priority
from schemas.event import Event
from schemas.headers import event_headers
from schemas.topics import TopicSpec, events_topic, platform_topics
from streams.partitioner import partition_of

PARTITIONS: Final = 4
AGGREGATES: Final = 1_000
STEP: Final = 10_000
AVRO_EVENTS_PER_S: Final = 460_000
"""Runs of five seconds have enough for the fastest peer after 400,000 events of warm-up."""
JSON_EVENTS_PER_S: Final = 24_000
"""What the slow peer reads that has JSON in its guide."""

AVRO_TOPIC: Final = events_topic(Category.DOMAIN, Priority.LOW)
JSON_TOPIC: Final = "bench.files.json"

IDENTIFIED: Final = 2_000
"""So many records stand for all: every producer and every kind of change is among them."""

Encode = Callable[[Event[Any]], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class FilledTopic:
    """A topic whose content is known."""

    topic: str
    index: SuffixIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class Filling:
    """A topic that is to be written: how many events, and how each is encoded."""

    topic: str
    events: int
    encode: Encode


def fill(
    broker: Broker,
    folder: Path,
    stream: Stream,
    say: Callable[[str], None],
    seconds: float = 5.0,
) -> FilledTopic:
    """The topic of a stream, for runs of so many seconds; written unless it stands there whole."""
    catalog = Catalog.load()
    broker.make((*platform_topics(catalog, PARTITIONS), _json_topic()))
    filling = filling_of(stream, seconds, Codec(catalog))
    file = folder / f"{filling.topic}.index.json"
    found = _standing(broker, file, filling, catalog)
    if found is not None:
        return found
    say(f"writing {filling.events:,} events to {filling.topic} (once)")
    file.unlink(missing_ok=True)
    broker.remove([filling.topic])
    broker.make((*platform_topics(catalog, PARTITIONS), _json_topic()))
    index = SuffixIndex(PARTITIONS, STEP)
    with broker.writer(filling.topic) as writer:
        for record, summand in _records(catalog, filling):
            writer.write(record)
            index.add(record.partition, summand)
    file.write_text(json.dumps({"identity": identity_of(filling, catalog), **index.to_json()}))
    return FilledTopic(topic=filling.topic, index=index)


def json_document(event: Event[Any]) -> dict[str, Any]:
    """The whole event as a program without Avro would send it."""
    aggregate, metadata = event.aggregate, event.metadata
    return {
        "id": event.id,
        "type": event.type,
        "category": event.category.value,
        "priority": event.priority.label,
        "version": event.version,
        "timestamp": event.timestamp_ms,
        "source": event.source,
        "correlation_id": event.correlation_id,
        "causation_id": event.causation_id,
        # A nested Faust record with a field `type` is left a plain dict.
        "aggregate": aggregate and {"kind": aggregate.type, "id": aggregate.id},
        "metadata": {"user_id": metadata.user_id, "trace_id": metadata.trace_id},
        "data": dict(event.payload),
    }


def filling_of(stream: Stream, seconds: float, codec: Codec) -> Filling:
    if stream is Stream.AVRO:
        events = _whole_steps(AVRO_EVENTS_PER_S * seconds)
        return Filling(topic=AVRO_TOPIC, events=events, encode=codec.encode)
    return Filling(
        topic=JSON_TOPIC,
        events=_whole_steps(JSON_EVENTS_PER_S * seconds),
        encode=lambda event: json.dumps(json_document(event), separators=(",", ":")).encode(),
    )


def _whole_steps(events: float) -> int:
    return max(2, -(-round(events) // STEP)) * STEP


def _records(catalog: Catalog, filling: Filling) -> Iterator[tuple[NewRecord, int]]:
    partitions: dict[bytes, int] = {}
    for event in islice(file_events(Producers(catalog), AGGREGATES), filling.events):
        key = event.key.encode()
        if key not in partitions:
            partitions[key] = partition_of(key, PARTITIONS)
        aggregate = event.aggregate.id if event.aggregate else ""
        yield (
            NewRecord(partitions[key], key, filling.encode(event), event_headers(event)),
            event_sum(event.type, aggregate, number_of(event.type, event.payload)),
        )


def _standing(broker: Broker, file: Path, filling: Filling, catalog: Catalog) -> FilledTopic | None:
    """What an earlier bench has written, if all of it is still there."""
    if not file.is_file():
        return None
    content = json.loads(file.read_text())
    if content["identity"] != identity_of(filling, catalog):
        return None
    index = SuffixIndex.from_json(content)
    if index.supply.events < filling.events:
        return None
    if broker.bounds(filling.topic, PARTITIONS) != tuple((0, end) for end in index.ends):
        return None
    return FilledTopic(topic=filling.topic, index=index)


def identity_of(filling: Filling, catalog: Catalog) -> str:
    """A hash of all that the content follows from, its number of events apart.

    It differs as soon as an event would be other bytes now, or may be: after a change of the types,
    their schema ids, the counts, the seeds, or the code that makes the events.
    """
    schema_ids = sorted(
        (schema_id, schema.type, str(schema.version))
        for schema_id, schema in catalog.schema_ids().items()
        if schema.type in NUMBER_FIELDS
    )
    digest = hashlib.sha256(json.dumps([PARTITIONS, AGGREGATES, STEP, schema_ids]).encode())
    for maker in (samples.__file__, __file__):
        digest.update(Path(maker).read_bytes())
    for record, summand in islice(_records(catalog, filling), IDENTIFIED):
        digest.update(repr((record, summand)).encode())
    return digest.hexdigest()


def _json_topic() -> TopicSpec:
    return TopicSpec(
        name=JSON_TOPIC,
        partitions=PARTITIONS,
        config={"cleanup.policy": "delete"},
        why="the same events for a peer without Avro",
    )
