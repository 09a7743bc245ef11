"""How far a system was at times, and what lies between two of them. Standard library only, pure."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.open_loop import NANOSECONDS

MEBIBYTE = 1024 * 1024


class Moment(NamedTuple):
    """How far a process was at a time."""

    now_ns: int
    cpu_s: float
    handled: int
    resident_bytes: int = 0


def moment(handled: int) -> Moment:
    """This process, now."""
    return Moment(time.monotonic_ns(), time.process_time(), handled, resident_memory())


def resident_memory() -> int:
    """What this process holds at the moment, bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def between(moments: Sequence[Moment], from_ns: int, to_ns: int) -> list[Moment]:
    """The moments of a time. Raises ValueError when there are less than two."""
    found = [it for it in moments if from_ns <= it.now_ns <= to_ns]
    if len(found) < 2:
        raise ValueError("the time was too short to be measured")
    return found


def seconds_of(part: Sequence[Moment]) -> float:
    """From the first of these moments to the last."""
    return (part[-1].now_ns - part[0].now_ns) / NANOSECONDS


def rate_of(part: Sequence[Moment]) -> float:
    """Events/s over these moments."""
    return (part[-1].handled - part[0].handled) / seconds_of(part)


def most_resident(part: Sequence[Moment]) -> float:
    """The most memory held at one of these moments, MiB."""
    return max(it.resident_bytes for it in part) / MEBIBYTE
