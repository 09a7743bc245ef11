"""What a system under test is given and what it prints. Standard library only: peers import it too.

A program gets one JSON object as its argument and prints one JSON line when it is done. Its handler
tells a `Meter` of every event, so that all systems count, add up and take the time alike.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any
from zlib import crc32

MODULUS = 1 << 63


@dataclass(frozen=True, slots=True, kw_only=True)
class RunConfig:
    """One run of one system.

    `events` are to be handled, the first `warm_up` of them before the time is taken. `group` is new
    for each run, and its committed offsets say where to begin in `topic`. `folder` is empty and
    belongs to the run. `schemas` has the file of each writer schema by its id. `seconds` is how
    long a system measures that decides by itself when to end.
    """

    folder: str
    bootstrap: str = ""
    topic: str = ""
    group: str = ""
    events: int = 0
    warm_up: int = 0
    seconds: float = 5.0
    schemas: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_arguments(cls, arguments: list[str] | None = None) -> RunConfig:
        """Read the program's only argument."""
        (text,) = sys.argv[1:] if arguments is None else arguments
        given = json.loads(text)
        return cls(**{known.name: given[known.name] for known in fields(cls)})

    def to_json(self) -> str:
        """The program's only argument; the options stand beside the other keys, too."""
        return json.dumps({**self.options, **asdict(self)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What one run measured: from the first event after the warm-up to the last.

    `cpu_seconds` are of the whole process, all threads, user and system. `checksum` covers all
    events, warm-up included. `metrics` are further figures by name; `versions` say what ran.
    """

    events: int
    seconds: float
    cpu_seconds: float
    checksum: int
    rss_bytes: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)

    def print(self) -> None:
        """Hand it to the harness."""
        sys.stdout.write(json.dumps(asdict(self)) + "\n")
        sys.stdout.flush()


class _Crcs(dict[str, int]):
    """CRC-32 of each text that was seen: a look-up costs every system the same, and little."""

    def __missing__(self, text: str) -> int:
        value = self[text] = crc32(text.encode())
        return value


class Meter:
    """Told of every handled event; takes the time of those after the warm-up.

    The checksum does not depend on the order of events: the sum of crc32(type), crc32(aggregate id)
    and the number of each, modulo 2^63.
    """

    __slots__ = (
        "_began",
        "_crcs",
        "_ended",
        "_events",
        "_mark",
        "_on_done",
        "_sum",
        "_warm_up",
        "count",
    )

    def __init__(
        self, events: int, warm_up: int, on_done: Callable[[], object] = lambda: None
    ) -> None:
        """`on_done` is called once, from within `handled`, for the last event."""
        if not 0 <= warm_up < events:
            raise ValueError(f"{warm_up} of {events} events cannot be warm-up")
        self.count = 0
        self._sum = 0
        self._crcs = _Crcs()
        self._events = events
        self._warm_up = warm_up
        self._on_done = on_done
        self._began = _now() if warm_up == 0 else (0.0, 0.0)
        self._ended = (0.0, 0.0)
        self._mark = warm_up or events

    @property
    def is_done(self) -> bool:
        """Whether all events were handled."""
        return self.count >= self._events

    def handled(self, event_type: str, aggregate_id: str, number: int) -> None:
        """One event was handled, with what its handler has read of it."""
        self._sum += self._crcs[event_type] + self._crcs[aggregate_id] + number
        self.count += 1
        if self.count == self._mark:
            self._reached()

    def _reached(self) -> None:
        if self.count < self._events:
            self._began = _now()
            self._mark = self._events
        else:
            self._ended = _now()
            self._on_done()

    def measurement(
        self, metrics: Mapping[str, float] | None = None, versions: Mapping[str, str] | None = None
    ) -> Measurement:
        """What was measured. Raises RuntimeError before the last event."""
        if not self.is_done:
            raise RuntimeError(f"only {self.count} of {self._events} events were handled")
        (began, cpu_began), (ended, cpu_ended) = self._began, self._ended
        return Measurement(
            events=self._events - self._warm_up,
            seconds=ended - began,
            cpu_seconds=cpu_ended - cpu_began,
            checksum=self._sum % MODULUS,
            rss_bytes=peak_memory(),
            metrics=metrics or {},
            versions=versions or {},
        )


def event_sum(event_type: str, aggregate_id: str, number: int) -> int:
    """What one event adds to the checksum."""
    return crc32(event_type.encode()) + crc32(aggregate_id.encode()) + number


def peak_memory(process: int | str = "self") -> int:
    """The most memory that a process has held, this one unless a pid is given; bytes."""
    # getrusage() would count what the parent held when it made this process.
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the system does not say how much memory the process held")


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()
