"""On what a bench ran: the machine, and the versions of what took part."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import psutil

PROJECT_PACKAGES: Final = (
    "wundr-events",
    "faust-streaming",
    "aiokafka",
    "confluent-kafka",
    "fastavro",
    "orjson",
    "uvloop",
)


def machine() -> dict[str, Any]:
    """What decides absolute figures; the load shows whether the machine was quiet before."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "system": f"{platform.system()} {platform.release()}",
        "load_before": [round(load, 2) for load in os.getloadavg()],
    }


def versions(of: Iterable[str] = PROJECT_PACKAGES) -> dict[str, str]:
    """Versions of Python and of packages in this environment; absent ones are left out."""
    found = {"python": sys.version.split()[0]}
    for package in of:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def joined_versions(project: Mapping[str, str], peers: Mapping[str, str]) -> dict[str, Any]:
    """All versions of a run; the peers have an environment of their own."""
    return {**project, "peers": dict(sorted(peers.items()))}


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()
