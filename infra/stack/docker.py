"""The docker provider: Kafka and PostgreSQL as containers, for machines without the packages.

The launch plan is data; `infra/compose.yaml` says the same for people. Containers outlive the
command that started them and are found again by name.
"""

from __future__ import annotations

import hashlib
import secrets
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from infra.errors import ServerDidNotStart
from infra.stack.endpoints import Endpoints
from infra.stack.ports import LOOPBACK, any_free_port, choose_port, is_port_free
from infra.stack.state import StackState, read_state

KAFKA_IMAGE: Final = "apache/kafka:4.3.1"
POSTGRES_IMAGE: Final = "postgres:18.4"
_ENGINE_TIMEOUT_S = 5
_START_DEADLINE_S = 120.0
_POLL_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerPlan:
    """One container: image, loopback port and environment; the environment may hold a password."""

    name: str
    image: str
    container_port: int
    host_port: int
    volume: str
    data_path: str
    environment: Mapping[str, str] = field(repr=False)
    probe: tuple[str, ...]
    """A command that succeeds inside the container once the server is ready."""


def docker_missing() -> str | None:
    """Why containers cannot be used here, or None. Waits five seconds at most."""
    docker = shutil.which("docker")
    if docker is None:
        return "no docker command"
    command = [docker, "version", "--format", "{{.Server.Version}}"]
    try:
        answer = subprocess.run(
            command, check=False, capture_output=True, timeout=_ENGINE_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired):
        return "the Docker engine does not answer"
    return None if answer.returncode == 0 else "the Docker engine does not answer"


def kafka_container(suffix: str, port: int, partitions: int) -> ContainerPlan:
    """A broker that is reached by the same address from the host and from itself."""
    return ContainerPlan(
        name=f"wundr-kafka-{suffix}",
        image=KAFKA_IMAGE,
        container_port=port,
        host_port=port,
        volume=f"wundr-kafka-{suffix}",
        data_path="/var/lib/kafka/data",
        environment={
            "CLUSTER_ID": "5L6g3nShT-eMCtK--X86sw",
            "KAFKA_NODE_ID": "1",
            "KAFKA_PROCESS_ROLES": "broker,controller",
            "KAFKA_LISTENERS": f"PLAINTEXT://:{port},CONTROLLER://:9093",
            "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://{LOOPBACK}:{port}",
            "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
            "KAFKA_LOG_DIRS": "/var/lib/kafka/data",
            "KAFKA_NUM_PARTITIONS": str(partitions),
            "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
            "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
            "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
            "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
            "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        },
        probe=(
            "/opt/kafka/bin/kafka-broker-api-versions.sh",
            "--bootstrap-server",
            f"localhost:{port}",
        ),
    )


def postgres_container(suffix: str, port: int, password: str) -> ContainerPlan:
    """A database server with a password of its own."""
    return ContainerPlan(
        name=f"wundr-postgres-{suffix}",
        image=POSTGRES_IMAGE,
        container_port=5432,
        host_port=port,
        volume=f"wundr-postgres-{suffix}",
        data_path="/var/lib/postgresql",
        environment={"POSTGRES_PASSWORD": password, "POSTGRES_DB": "wundr"},
        probe=("pg_isready", "-h", LOOPBACK, "-U", "postgres"),
    )


def start_docker(state_dir: Path, kafka_port: int | None, partitions: int) -> StackState:
    """Start both containers, with data in named volumes. Raises StackError."""
    remembered = read_state(state_dir).ports
    stop_docker(state_dir)
    suffix = hashlib.sha256(str(state_dir).encode()).hexdigest()[:12]
    ports = {
        name: choose_port(
            setting="WUNDR_KAFKA_PORT",
            configured=wish,
            remembered=remembered.get(name),
            is_free=is_port_free,
            any_free=any_free_port,
        ).port
        for name, wish in (("kafka", kafka_port), ("postgres", None))
    }
    password = _password(state_dir)
    plans = (
        kafka_container(suffix, ports["kafka"], partitions),
        postgres_container(suffix, ports["postgres"], password),
    )
    for plan in plans:
        _run(plan)
    return StackState(
        endpoints=Endpoints(
            kafka_bootstrap=f"{LOOPBACK}:{ports['kafka']}",
            postgres_dsn=f"postgresql://postgres:{password}@{LOOPBACK}:{ports['postgres']}/wundr",
            provider="docker",
        ),
        ports=ports,
        containers=tuple(plan.name for plan in plans),
    )


def stop_docker(state_dir: Path) -> None:
    """Remove this folder's containers; their volumes stay."""
    import docker
    from docker.errors import NotFound

    names = read_state(state_dir).containers
    if not names:
        return
    engine = docker.from_env()
    for name in names:
        try:
            engine.containers.get(name).remove(force=True)
        except NotFound:
            continue


def _password(state_dir: Path) -> str:
    """The password that the database volume was made with."""
    file = state_dir / "postgres-password"
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(24))
    return file.read_text()


def _run(plan: ContainerPlan) -> None:
    from testcontainers.core.config import testcontainers_config
    from testcontainers.core.container import DockerContainer

    # The library's reaper would end the containers together with this process.
    testcontainers_config.ryuk_disabled = True
    container = DockerContainer(plan.image).with_name(plan.name).with_envs(**plan.environment)
    container.with_volume_mapping(plan.volume, plan.data_path, "rw")
    # The engine takes an address with the port: nothing listens beyond loopback.
    container.ports[f"{plan.container_port}/tcp"] = (  # type: ignore[assignment]  # its type says port only
        LOOPBACK,
        plan.host_port,
    )
    container.start()
    deadline = time.monotonic() + _START_DEADLINE_S
    while container.exec(list(plan.probe)).exit_code != 0:
        if time.monotonic() > deadline:
            raise ServerDidNotStart(plan.name, "its probe failed", Path(f"docker logs {plan.name}"))
        time.sleep(_POLL_S)
