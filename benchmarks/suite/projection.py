"""One process, one projection: count and sum per aggregate, changelog on."""

from __future__ import annotations

from typing import Final

from benchmarks.bench import Bench
from benchmarks.drain import Drain
from benchmarks.goals import Measured, at_least
from benchmarks.suite import reading
from benchmarks.suite.reading import PROJECTION
from benchmarks.system import OURS

BENCH: Final = Bench(
    name="projection",
    question="How many events a second does one process fold into a table?",
    driver=Drain,
    systems=(
        reading.ours(PROJECTION),
        reading.raw_aiokafka(PROJECTION),
        reading.raw_confluent(PROJECTION),
        reading.faust(PROJECTION),
        reading.faust_bytes(PROJECTION),
        reading.quix(PROJECTION),
        reading.kafka_streams(PROJECTION),
    ),
    goals=(
        at_least(
            1.0, ">= 1.0 x raw aiokafka + fastavro", Measured(OURS), Measured(reading.RAW_AIOKAFKA)
        ),
        at_least(30.0, ">= 30 x Faust", Measured(OURS), Measured(reading.FAUST)),
        at_least(2.5, ">= 2.5 x Quix", Measured(OURS), Measured(reading.QUIX)),
        at_least(
            0.8,
            ">= 0.8 x Kafka Streams, 1 thread, warm",
            Measured(OURS),
            Measured(reading.KAFKA_STREAMS),
        ),
    ),
)
