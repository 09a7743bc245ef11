"""All benches by name; each is imported when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import Final

from benchmarks.bench import Bench

NAMES: Final = (
    "codec",
    "consume",
    "policies",
    "parking",
    "projection",
    "publish",
    "batch",
    "append",
    "relay",
    "priority",
    "latency",
    "overload",
    "recovery",
    "rebuild",
    "scale",
    "sink",
    "audit",
    "history",
    "deadlines",
)


def load(name: str) -> Bench:
    """The bench of this name, one of NAMES."""
    bench = import_module(f"benchmarks.suite.{name}").BENCH
    if not isinstance(bench, Bench):
        raise TypeError(f"benchmarks.suite.{name} has no bench")
    return bench
