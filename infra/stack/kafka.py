"""One Kafka broker (KRaft, broker and controller in one process) as data: files and command lines.

Tuned for a quick start on a small machine: few internal partitions, small buffers, no waiting.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.stack.ports import LOOPBACK


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaPlan:
    """What to run and where; pure, so that tests assert it on a machine without Java."""

    java: Path
    class_path: tuple[Path, ...]
    home: Path
    port: int
    controller_port: int
    partitions: int = 4

    @property
    def properties_file(self) -> Path:
        """Also the mark by which the process is recognised."""
        return self.home / "server.properties"

    @property
    def log_file(self) -> Path:
        """What the broker says."""
        return self.home / "kafka.log"

    @property
    def data_dir(self) -> Path:
        """The topics."""
        return self.home / "data"

    @property
    def is_formatted(self) -> bool:
        """True when the data folder already belongs to a cluster."""
        return (self.data_dir / "meta.properties").is_file()


def server_properties(plan: KafkaPlan) -> dict[str, str]:
    """The broker's configuration."""
    controller = f"{LOOPBACK}:{plan.controller_port}"
    single = dict.fromkeys(
        (
            "offsets.topic.replication.factor",
            "transaction.state.log.replication.factor",
            "transaction.state.log.min.isr",
            "share.coordinator.state.topic.replication.factor",
            "share.coordinator.state.topic.min.isr",
            "default.replication.factor",
            "min.insync.replicas",
            "transaction.state.log.num.partitions",
            "share.coordinator.state.topic.num.partitions",
        ),
        "1",
    )
    return single | {
        "process.roles": "broker,controller",
        "node.id": "1",
        "listeners": f"PLAINTEXT://{LOOPBACK}:{plan.port},CONTROLLER://{controller}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{plan.port}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        # A static quorum: the controller may come back on another port.
        "controller.quorum.voters": f"1@{controller}",
        "log.dirs": str(plan.data_dir),
        "num.partitions": str(plan.partitions),
        "offsets.topic.num.partitions": "4",
        "auto.create.topics.enable": "false",
        "group.initial.rebalance.delay.ms": "0",
        "num.network.threads": "2",
        "num.io.threads": "4",
        "log.cleaner.dedupe.buffer.size": "2097152",
        "log.index.size.max.bytes": "1048576",
        "controlled.shutdown.max.retries": "1",
    }


def render_properties(properties: dict[str, str]) -> str:
    """The text of a Java properties file."""
    return "".join(f"{key}={value}\n" for key, value in sorted(properties.items()))


def _java(plan: KafkaPlan, options: Sequence[str]) -> list[str]:
    return [
        str(plan.java),
        *options,
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "-Dorg.slf4j.simpleLogger.showDateTime=true",
        "-cp",
        ":".join(str(jar) for jar in plan.class_path),
    ]


def format_command(plan: KafkaPlan, cluster_id: str) -> list[str]:
    """Prepare an empty data folder for a cluster."""
    options = ("-Xmx128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto")
    properties = str(plan.properties_file)
    tool = ("kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", properties)
    return [*_java(plan, options), *tool]


def broker_command(plan: KafkaPlan) -> list[str]:
    """Run the broker."""
    # The quick compiler alone: a local broker lives for minutes and shares cores with its clients.
    options = (
        "-Xmx512m",
        "-Xms128m",
        "-XX:+UseSerialGC",
        "-XX:TieredStopAtLevel=1",
        "-Djava.awt.headless=true",
    )
    return [*_java(plan, options), "kafka.Kafka", str(plan.properties_file)]
