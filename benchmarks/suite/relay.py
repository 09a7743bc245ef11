"""How late appended events reach Kafka, while a thousand a second are appended."""

from __future__ import annotations

from typing import Final

from benchmarks.append_run import ACCOUNTS
from benchmarks.appending import Relaying
from benchmarks.bench import Bench
from benchmarks.goals import Measured, at_least, at_most
from benchmarks.system import OURS, Environment, System

RATE: Final = 1_000
LAG: Final = "lag_p99_ms"

BENCH: Final = Bench(
    name="relay",
    question="How long does an appended event take from its commit to a reader of Kafka?",
    unit="ms",
    metric=LAG,
    driver=Relaying,
    systems=(
        System(
            name=OURS,
            module="benchmarks.systems.relay",
            environment=Environment.PROJECT,
            settings={
                "appends/s": RATE,
                "accounts, taking turns": ACCOUNTS,
                "lag": "from the answer to the append until a reader has the record",
                "relay": "a process of its own, all shards; it looks every 10 to 100 ms",
            },
            options={"table": "events", "rate": RATE},
        ),
    ),
    goals=(
        at_most(200.0, "p99 at 1,000 appends/s <= 200 ms", Measured(OURS, LAG)),
        at_least(950.0, "appends/s while it is measured >= 950", Measured(OURS, "appends_per_s")),
    ),
)
