"""What may be wrong with an installation; each finding says what to do."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from connectors import native as connectors_native
from infra.finding import Finding
from infra.service_diagnosis import service_findings
from infra.settings import Settings
from infra.stack.embedded import embedded_missing, kafka_processes
from infra.stack.endpoints import Endpoints
from infra.stack.jars import cache_dir, load_jar_lock, missing_jars
from infra.stack.local import absolute, find_endpoints
from infra.stack.ports import is_port_free
from infra.stack.postgres import postgres_process
from infra.stack.processes import Verdict, verdict_on
from infra.stack.state import StackState, read_state
from infra.topics import is_reachable, plan
from schemas import native
from schemas.catalog import Catalog
from schemas.topics import platform_topics
from streams import native as streams_native

MIN_FREE_BYTES = 1024**3


def examine(settings: Settings) -> Iterator[Finding]:
    """All checks, each as soon as it is known; none changes anything."""
    state_dir = absolute(settings.state_dir)
    state = read_state(state_dir)
    endpoints = find_endpoints(settings)
    yield embedded_finding(embedded_missing())
    yield _jars()
    yield native_finding(_parts_in_c(), is_wanted=native.IS_WANTED)
    yield disk_finding(shutil.disk_usage(_existing_parent(state_dir)).free)
    yield port_finding(settings.kafka_port, is_running=endpoints is not None, is_free=is_port_free)
    yield processes_finding(state, running_brokers=len(kafka_processes(state_dir)))
    if endpoints is None:
        yield Finding(check="servers", message="nothing runs for this folder", remedy="wundr up")
        return
    yield _postgres(state_dir, endpoints)
    yield from _broker(settings, endpoints)


def embedded_finding(missing: str | None) -> Finding:
    """Whether Java, jgo and PostgreSQL are installed."""
    if missing is None:
        return Finding(check="packages", message="Java, jgo and PostgreSQL are installed")
    return Finding(
        check="packages",
        message=missing,
        remedy="remove .venv and run ./wundr again, or set WUNDR_PROVIDER",
    )


def _jars() -> Finding:
    lock = load_jar_lock()
    missing = missing_jars(lock, cache_dir(lock))
    if not missing:
        return Finding(check="jars", message=f"Apache Kafka {lock.kafka} is in the cache")
    return Finding(
        check="jars",
        message=f"{len(missing)} of {len(lock.jars)} jars are not downloaded",
        remedy="wundr up downloads them (once)",
    )


def _parts_in_c() -> Mapping[str, bool]:
    """What is done in C where it was built, and whether it was."""
    return {
        "events are read": native.AVAILABLE,
        "envelopes are written": native.WRITING_AVAILABLE,
        "records are unpacked": streams_native.RECORDS_AVAILABLE,
        "tables are folded": streams_native.AVAILABLE,
        "rows are made": connectors_native.AVAILABLE,
    }


def native_finding(built: Mapping[str, bool], *, is_wanted: bool) -> Finding:
    """What is done in C. Nothing is wrong without, only slower."""
    missing = [what for what, is_built in built.items() if not is_built]
    if not is_wanted:
        return Finding(check="readers", message=f"{_listed(built)} in Python, as WUNDR_PURE says")
    if not missing:
        return Finding(check="readers", message=f"{_listed(built)} in C")
    reason = "in C where a compiler and the headers of Python are when .venv is made"
    return Finding(check="readers", message=f"{_listed(missing)} in Python, {reason}")


def _listed(parts: Iterable[str]) -> str:
    return ", ".join(parts)


def disk_finding(free: int) -> Finding:
    """Whether the state folder's disk has room; `free` in bytes."""
    message = f"{free / 1024**3:.1f} GiB free for the state folder"
    if free >= MIN_FREE_BYTES:
        return Finding(check="disk", message=message)
    return Finding(check="disk", message=message, remedy="free some space, 1 GiB is needed")


def port_finding(
    configured: int | None, *, is_running: bool, is_free: Callable[[int], bool]
) -> Finding:
    """Whether the port that the settings ask for can be had."""
    if configured is None:
        return Finding(check="ports", message="free ports are chosen at each start")
    if is_running or is_free(configured):
        return Finding(check="ports", message=f"port {configured} is usable")
    return Finding(
        check="ports",
        message=f"port {configured} (WUNDR_KAFKA_PORT) is held by another program",
        remedy="end that program or unset WUNDR_KAFKA_PORT",
    )


def processes_finding(state: StackState, *, running_brokers: int) -> Finding:
    """Whether the recorded processes are the running ones."""
    lost = [name for name, it in state.processes.items() if verdict_on(it) is not Verdict.OURS]
    if lost:
        names = ", ".join(lost)
        return Finding(
            check="processes", message=f"recorded but not running: {names}", remedy="wundr up"
        )
    if running_brokers > (1 if "kafka" in state.processes else 0):
        return Finding(
            check="processes",
            message="a broker runs that nobody recorded (its parent was killed)",
            remedy="wundr up takes it over, wundr down ends it",
        )
    return Finding(check="processes", message="no process was left behind")


def _postgres(state_dir: Path, endpoints: Endpoints) -> Finding:
    if endpoints.provider != "embedded":
        return Finding(check="postgres", message="not ours, not examined")
    if postgres_process(state_dir) is not None:
        return Finding(check="postgres", message="PostgreSQL runs")
    return Finding(check="postgres", message="PostgreSQL does not run", remedy="wundr up")


def _broker(settings: Settings, endpoints: Endpoints) -> Iterator[Finding]:
    bootstrap = endpoints.kafka_bootstrap
    if not is_reachable(bootstrap):
        yield Finding(
            check="broker", message=f"no broker answers at {bootstrap}", remedy="wundr up"
        )
        return
    yield Finding(check="broker", message=f"a broker answers at {bootstrap}")
    changes = plan(bootstrap, platform_topics(Catalog.load(), settings.partitions))
    if changes:
        first = changes[0]
        yield Finding(
            check="topics",
            message=f"{len(changes)} topics differ from the plan, first {first.spec.name}: "
            f"{first.action.value} ({first.detail})",
            remedy="wundr topics plan, then wundr topics apply",
        )
    else:
        yield Finding(check="topics", message="every topic is as it should be")
    yield from service_findings(settings, endpoints)


def _existing_parent(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder
