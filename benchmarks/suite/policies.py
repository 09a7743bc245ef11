"""One handler with the policies that every handler has, and with every policy there is."""

from __future__ import annotations

from typing import Final

from benchmarks.bench import Bench
from benchmarks.drain import Drain
from benchmarks.goals import Measured, at_least
from benchmarks.suite import reading
from benchmarks.suite.reading import CONSUME
from benchmarks.system import OURS

BENCH: Final = Bench(
    name="policies",
    question="What do policies cost when nothing fails?",
    driver=Drain,
    systems=(reading.ours(CONSUME), reading.ours_with_policies()),
    goals=(
        at_least(
            0.9,
            ">= 0.9 x the policies of every handler",
            Measured(reading.OURS_WITH_POLICIES),
            Measured(OURS),
        ),
    ),
)
