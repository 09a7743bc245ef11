"""Start, find and stop the stack of a working folder, whoever provides it.

After `stop_stack`, after a Ctrl-C while starting, and after the next `start_stack` that follows a
kill, no server of this folder runs beside the recorded ones.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from infra.errors import StackNotRunning
from infra.keys import prepare_keys
from infra.settings import ProviderName, Settings
from infra.stack.docker import docker_missing, start_docker, stop_docker
from infra.stack.embedded import embedded_missing, kafka_processes, start_embedded, stop_embedded
from infra.stack.endpoints import Endpoints
from infra.stack.postgres import postgres_process
from infra.stack.provider import Choice, Possibilities, choose
from infra.stack.state import StackState, read_state, stack_lock, write_state

TEMPORARY_MARK = "stack.temporary"
"""A file in the state folder while its servers belong to one block of one process."""

log = structlog.get_logger(__name__)


def choose_provider(settings: Settings) -> Choice:
    """The provider for these settings on this machine. Raises ProviderUnavailable."""
    lacks_embedded = embedded_missing()
    asks_docker = settings.provider is ProviderName.DOCKER
    # The Docker engine is asked only when it may be needed: the answer can take seconds.
    lacks_docker = docker_missing() if asks_docker or lacks_embedded else "not tried"
    possible = Possibilities(
        external_given=settings.kafka_bootstrap is not None,
        embedded_missing=lacks_embedded,
        docker_missing=lacks_docker,
    )
    return choose(settings.provider, possible)


def start_stack(settings: Settings) -> Endpoints:
    """Start Kafka and PostgreSQL to stay, or take over what runs already. Raises StackError.

    Whatever was started is stopped again when the start fails or is interrupted.
    """
    (absolute(settings.state_dir) / TEMPORARY_MARK).unlink(missing_ok=True)
    return _started(settings)


def _started(settings: Settings) -> Endpoints:
    choice = choose_provider(settings)
    log.info("stack provider", provider=choice.provider.value, reason=choice.reason)
    if choice.provider is ProviderName.EXTERNAL:
        given = external_endpoints(settings)
        prepare_keys(settings, given)
        return given
    state_dir = absolute(settings.state_dir)
    with stack_lock(state_dir):
        ran_before = is_running(state_dir)
        try:
            state = _start(choice.provider, state_dir, settings)
        except BaseException:
            if not ran_before:
                _stop(state_dir)
            raise
        write_state(state_dir, state)
    if state.endpoints is None:
        raise AssertionError("a started stack has endpoints")
    prepare_keys(settings, state.endpoints)
    return state.endpoints


def stop_stack(state_dir: Path) -> None:
    """Stop every server of a state folder; data and ports are kept."""
    folder = absolute(state_dir)
    if not folder.is_dir():
        return
    with stack_lock(folder):
        _stop(folder)


@contextmanager
def running_stack(settings: Settings) -> Iterator[Endpoints]:
    """A stack for the duration of a block; one that was started to stay is left running.

    What a killed process has left of its block is taken over, and stopped at the end of this one.
    """
    state_dir = absolute(settings.state_dir)
    mark = state_dir / TEMPORARY_MARK
    stays = is_running(state_dir) and not mark.exists()
    if not stays:
        state_dir.mkdir(parents=True, exist_ok=True)
        mark.touch()
    endpoints = _started(settings)
    try:
        yield endpoints
    finally:
        if not stays:
            stop_stack(state_dir)
            mark.unlink(missing_ok=True)


def find_endpoints(settings: Settings) -> Endpoints | None:
    """Where the servers answer, without starting anything."""
    if settings.kafka_bootstrap is not None:
        return external_endpoints(settings)
    state_dir = absolute(settings.state_dir)
    state = read_state(state_dir)
    return state.endpoints if is_running(state_dir) else None


def require_endpoints(settings: Settings) -> Endpoints:
    """Where the servers of this folder answer. Raises StackNotRunning."""
    endpoints = find_endpoints(settings)
    if endpoints is None:
        raise StackNotRunning
    return endpoints


def external_endpoints(settings: Settings) -> Endpoints:
    """The servers that the settings name."""
    if settings.kafka_bootstrap is None or settings.postgres_dsn is None:
        raise AssertionError("the settings were checked to name both")
    return Endpoints(
        kafka_bootstrap=settings.kafka_bootstrap,
        postgres_dsn=settings.postgres_dsn.get_secret_value(),
        provider=ProviderName.EXTERNAL.value,
    )


def is_running(state_dir: Path) -> bool:
    """True when both servers of this absolute state folder run."""
    if read_state(state_dir).containers:
        return docker_missing() is None
    return bool(kafka_processes(state_dir)) and postgres_process(state_dir) is not None


def absolute(state_dir: Path) -> Path:
    """The folder by its full name, by which its servers are recognised."""
    return Path(os.path.realpath(state_dir))


def _start(provider: ProviderName, state_dir: Path, settings: Settings) -> StackState:
    if provider is ProviderName.DOCKER:
        return start_docker(state_dir, settings.kafka_port, settings.partitions)
    return start_embedded(state_dir, settings.kafka_port)


def _stop(state_dir: Path) -> None:
    state = read_state(state_dir)
    if state.containers:
        stop_docker(state_dir)
    stop_embedded(state_dir)
    write_state(state_dir, StackState(ports=state.ports))
