"""Ports of the local servers: kept over restarts while free, else another one is chosen."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass

from infra.errors import PortTaken

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortChoice:
    """A port, and the one it stands in for when that one was taken meanwhile."""

    port: int
    instead_of: int | None = None


def choose_port(
    *,
    setting: str,
    configured: int | None,
    remembered: int | None,
    is_free: Callable[[int], bool],
    any_free: Callable[[], int],
) -> PortChoice:
    """The port to listen on. Raises PortTaken only for a port that the settings ask for."""
    if configured is not None:
        if not is_free(configured):
            raise PortTaken(setting, configured)
        return PortChoice(port=configured)
    if remembered is not None and is_free(remembered):
        return PortChoice(port=remembered)
    return PortChoice(port=any_free(), instead_of=remembered)


def is_port_free(port: int) -> bool:
    """True when a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def any_free_port() -> int:
    """A loopback port that is free now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def answers(port: int, timeout_s: float = 0.5) -> bool:
    """True when something accepts connections on this loopback port."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=timeout_s):
            return True
    except OSError:
        return False
