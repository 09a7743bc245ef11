"""The systems that read events, with the settings that their makers document as the fast ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from benchmarks.system import OURS, Environment, Stream, System
from schemas import native

OURS_WITH_POLICIES: Final = "ours, every policy"
RAW_AIOKAFKA: Final = "raw aiokafka + fastavro"
RAW_CONFLUENT: Final = "raw confluent-kafka + fastavro"
FAUST: Final = "Faust"
FAUST_BYTES: Final = "Faust, bytes + fastavro"
FASTSTREAM: Final = "FastStream"
FASTSTREAM_BATCH: Final = "FastStream, batch"
QUIX: Final = "Quix Streams"
KAFKA_STREAMS: Final = "Kafka Streams"

CONSUME: Final = "consume"
PROJECTION: Final = "projection"

JVM_WARM_UP: Final = 400_000
"""Events after which the compiler of a JVM has done most of its work."""


def ours(mode: str) -> System:
    """This platform."""
    return System(
        name=OURS,
        module=f"benchmarks.systems.{mode}",
        environment=Environment.PROJECT,
        rate=100_000 if mode == CONSUME else 60_000,
        settings={
            "linger_ms": 20,
            "worker": "as `wundr worker` starts it",
            "readers": "in C" if native.IN_USE else "in Python",
        },
    )


def ours_with_policies() -> System:
    """This platform with every policy around its handler."""
    return replace(
        ours(CONSUME), name=OURS_WITH_POLICIES, module="benchmarks.systems.consume_policies"
    )


def raw_aiokafka(mode: str) -> System:
    """aiokafka by hand."""
    tuned = {"max_records": 2_000, "max_partition_fetch_bytes": 4 * 1024 * 1024}
    return System(
        name=RAW_AIOKAFKA,
        module="benchmarks.peers.raw_aiokafka",
        settings={**tuned, "loop": "uvloop", "commit": "automatic, every 5 s"},
        options={**tuned, "mode": mode},
        rate=80_000,
    )


def raw_confluent(mode: str) -> System:
    """confluent-kafka by hand."""
    return System(
        name=RAW_CONFLUENT,
        module="benchmarks.peers.raw_confluent",
        settings={"consume": "500 messages at a time", "commit": "automatic, every 5 s"},
        options={"mode": mode, "max_records": 500},
        rate=90_000,
    )


def faust(mode: str) -> System:
    """Faust as its guide shows it."""
    return System(
        name=FAUST,
        module="benchmarks.peers.faust_guide",
        settings={"value": "JSON Record", "store": "memory://", "as": "its guide shows it"},
        options={"mode": mode, "value": "record"},
        stream=Stream.JSON,
        rate=9_000 if mode == CONSUME else 3_000,
    )


def faust_bytes(mode: str) -> System:
    """Faust on the same bytes as everybody else."""
    return System(
        name=FAUST_BYTES,
        module="benchmarks.peers.faust_guide",
        settings={"value": "raw bytes, fastavro in the agent", "store": "memory://"},
        options={"mode": mode, "value": "bytes"},
        rate=9_000 if mode == CONSUME else 3_000,
    )


def faststream() -> System:
    """FastStream, a message a call."""
    return System(
        name=FASTSTREAM,
        module="benchmarks.peers.faststream_kafka",
        settings={"apply_types": False, "logger": None, "loop": "uvloop", "decoder": "fastavro"},
        options={"mode": CONSUME, "batch": False},
        rate=15_000,
    )


def faststream_batch() -> System:
    """FastStream, a list a call."""
    return System(
        name=FASTSTREAM_BATCH,
        module="benchmarks.peers.faststream_kafka",
        settings={
            "apply_types": False,
            "logger": None,
            "loop": "uvloop",
            "decoder": "fastavro, every record of the batch",
            "max_records": 2_000,
        },
        options={"mode": CONSUME, "batch": True, "max_records": 2_000},
        rate=50_000,
    )


def quix(mode: str) -> System:
    """Quix Streams."""
    state = {"state": "RocksDB with changelog"} if mode == PROJECTION else {}
    return System(
        name=QUIX,
        module="benchmarks.peers.quix",
        settings={"commit_interval_s": 5.0, "decode": "fastavro in the function", **state},
        options={"mode": mode},
        rate=50_000 if mode == CONSUME else 35_000,
    )


def kafka_streams(mode: str) -> System:
    """Kafka Streams, warm."""
    state = {"changelog": True, "cache": True} if mode == PROJECTION else {}
    return System(
        name=KAFKA_STREAMS,
        module="benchmarks.peers.java",
        environment=Environment.PROJECT,
        settings={"threads": 1, "value": "Avro GenericRecord", **state},
        options={"mode": mode},
        rate=350_000 if mode == CONSUME else 200_000,
        min_warm_up=JVM_WARM_UP,
    )
