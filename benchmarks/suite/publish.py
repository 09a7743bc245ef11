"""One process that publishes typed events and waits for all receipts."""

from __future__ import annotations

from typing import Final

from benchmarks.bench import Bench
from benchmarks.goals import Measured, at_least
from benchmarks.publishing import Publishing
from benchmarks.system import OURS, Environment, System
from streams.kafka.clients import BATCH_BYTES

RAW: Final = "raw aiokafka, same encode"
OPEN: Final = 5_000
"""How many events may be unacknowledged."""

_SETTINGS: Final = {
    "acks": "all",
    "idempotence": True,
    "compression": "lz4",
    "linger_ms": 20,
    "max_batch_size": BATCH_BYTES,
    "unacknowledged": OPEN,
    "loop": "uvloop",
}

BENCH: Final = Bench(
    name="publish",
    question="How many typed events a second does one process publish, acknowledged?",
    driver=Publishing,
    systems=(
        System(
            name=OURS,
            module="benchmarks.systems.publish",
            environment=Environment.PROJECT,
            settings={**_SETTINGS, "bus": "KafkaBus.publish, receipts awaited"},
            options={"open": OPEN},
            rate=30_000,
        ),
        System(
            name=RAW,
            module="benchmarks.systems.raw_publish",
            environment=Environment.PROJECT,
            settings=_SETTINGS,
            options={"open": OPEN},
            rate=40_000,
        ),
    ),
    goals=(
        at_least(
            0.8,
            ">= 0.8 x the same client raw with the same encode",
            Measured(OURS),
            Measured(RAW),
        ),
    ),
)
