"""One process that publishes in batches, beside the same bus without: each receipt is awaited."""

from __future__ import annotations

from typing import Final

from benchmarks.bench import Bench
from benchmarks.goals import Measured, at_least
from benchmarks.publishing import Publishing
from benchmarks.system import OURS, Environment, System
from streams.kafka.clients import BATCH_BYTES

SINGLY: Final = "KafkaBus, one after the other"
OPEN_RECEIPTS: Final = "KafkaBus, receipts open"
OPEN: Final = 5_000
"""How many events may be unacknowledged."""
BATCH: Final = 500
"""How many events are handed over together."""

_SETTINGS: Final = {
    "acks": "all",
    "idempotence": True,
    "compression": "lz4",
    "linger_ms": 20,
    "max_batch_size": BATCH_BYTES,
    "loop": "uvloop",
}

BENCH: Final = Bench(
    name="batch",
    question="What does a stage of batches bring to callers, and what does it cost?",
    driver=Publishing,
    systems=(
        System(
            name=OURS,
            module="benchmarks.systems.batch",
            environment=Environment.PROJECT,
            settings={**_SETTINGS, "bus": "BatchingBus", "batch": BATCH, "unacknowledged": OPEN},
            options={"open": OPEN, "batch": BATCH},
            rate=25_000,
        ),
        System(
            name=SINGLY,
            module="benchmarks.systems.publish_singly",
            environment=Environment.PROJECT,
            settings={**_SETTINGS, "linger_ms": 0, "unacknowledged": 1},
            options={"open": 0},
            rate=600,
        ),
        System(
            name=OPEN_RECEIPTS,
            module="benchmarks.systems.publish",
            environment=Environment.PROJECT,
            settings={**_SETTINGS, "unacknowledged": OPEN},
            options={"open": OPEN},
            rate=30_000,
        ),
    ),
    goals=(
        at_least(
            5.0,
            ">= 5.0 x publishing one after the other",
            Measured(OURS),
            Measured(SINGLY),
        ),
        at_least(
            0.8,
            ">= 0.8 x the same bus without the stage",
            Measured(OURS),
            Measured(OPEN_RECEIPTS),
        ),
    ),
)
