"""A system under test: which program it is, where that runs, and with what settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.util import find_spec
from typing import Any

OURS = "wundr"
"""The name of this platform among the systems of every bench."""

AGAIN = "wundr, again"
"""The second of the two runs of the same thing that show the noise."""


class Environment(StrEnum):
    """Whose packages a program sees."""

    PROJECT = "project"
    PEERS = "peers"


class Stream(StrEnum):
    """In which form a system reads the events."""

    AVRO = "avro"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A program that is run as `python -m MODULE CONFIG`.

    `settings` are listed beside its figures; `options` reach the program. `rate` is a first guess,
    events/s: runs are sized by what is measured. `min_warm_up` events are handled before the time
    is taken (a JVM needs many).
    """

    name: str
    module: str
    environment: Environment = Environment.PEERS
    settings: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    stream: Stream = Stream.AVRO
    rate: float = 10_000.0
    min_warm_up: int = 0

    @property
    def is_ours(self) -> bool:
        """Whether it is this platform, whatever it is called in a bench."""
        return self.module.startswith("benchmarks.systems.")

    @property
    def is_there(self) -> bool:
        """Whether the program stands in this tree."""
        try:
            return find_spec(self.module) is not None
        except ModuleNotFoundError:
            return False
