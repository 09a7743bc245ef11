"""Times passes over the same events: what a codec costs per event. Standard library only."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.contract import Measurement, peak_memory

Pass = Callable[[], object]
"""One operation on every event, once."""

_WARM_UP: float = 0.2
"""Share of the time that is not counted."""


@dataclass(slots=True)
class _Spent:
    seconds: float = 0.0
    cpu_seconds: float = 0.0


def timed(
    passes: Mapping[str, Pass],
    events: int,
    seconds: float,
    checksum: int,
    versions: Mapping[str, str],
) -> Measurement:
    """Take turns between the passes until `encode` and `decode` together took `seconds`.

    A pass goes over `events` events; metrics are microseconds per event. The rate is that of
    round trips: events that were encoded and decoded.
    """
    _run(passes, seconds * _WARM_UP)
    spent, turns = _run(passes, seconds)
    handled = turns * events
    metrics = {f"{name}_us": it.seconds / handled * 1e6 for name, it in spent.items()}
    round_trip = (spent["encode"], spent["decode"])
    return Measurement(
        events=handled,
        seconds=sum(it.seconds for it in round_trip),
        cpu_seconds=sum(it.cpu_seconds for it in round_trip),
        checksum=checksum,
        rss_bytes=peak_memory(),
        metrics={**metrics, "round_trip_us": metrics["encode_us"] + metrics["decode_us"]},
        versions=versions,
    )


def _run(passes: Mapping[str, Pass], seconds: float) -> tuple[dict[str, _Spent], int]:
    spent = {name: _Spent() for name in passes}
    turns = 0
    while spent["encode"].seconds + spent["decode"].seconds < seconds:
        for name, once in passes.items():
            began, cpu_began = time.perf_counter(), time.process_time()
            once()
            spent[name].seconds += time.perf_counter() - began
            spent[name].cpu_seconds += time.process_time() - cpu_began
        turns += 1
    return spent, turns
