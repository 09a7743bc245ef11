"""Where the servers of a stack answer."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Addresses of a running stack; the DSN may hold a password and stays out of the repr."""

    kafka_bootstrap: str
    postgres_dsn: str = field(repr=False)
    provider: str
