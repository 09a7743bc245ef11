"""One process, one handler, no state."""

from __future__ import annotations

from typing import Final

from benchmarks.bench import Bench
from benchmarks.drain import Drain
from benchmarks.goals import Measured, at_least
from benchmarks.suite import reading
from benchmarks.suite.reading import CONSUME
from benchmarks.system import OURS

BENCH: Final = Bench(
    name="consume",
    question="How many events a second does one process handle?",
    driver=Drain,
    systems=(
        reading.ours(CONSUME),
        reading.raw_aiokafka(CONSUME),
        reading.raw_confluent(CONSUME),
        reading.faust(CONSUME),
        reading.faust_bytes(CONSUME),
        reading.faststream(),
        reading.faststream_batch(),
        reading.quix(CONSUME),
        reading.kafka_streams(CONSUME),
    ),
    goals=(
        at_least(
            1.3,
            ">= 1.3 x raw aiokafka + fastavro full decode",
            Measured(OURS),
            Measured(reading.RAW_AIOKAFKA),
        ),
        at_least(12.0, ">= 12 x Faust", Measured(OURS), Measured(reading.FAUST)),
        at_least(1.0, "above FastStream batch", Measured(OURS), Measured(reading.FASTSTREAM_BATCH)),
        at_least(1.0, "above Quix", Measured(OURS), Measured(reading.QUIX)),
    ),
)
