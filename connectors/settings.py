"""How a process reaches Postgres. Built once at start and passed down; the address never prints."""

from dataclasses import dataclass, field
from typing import Final

from schemas.topics import STORE_EVENTS

WRITER_ROLE: Final = "wundr_writer"
"""May add events, and change no event. Made by the migrations, where they may make roles."""

READER_ROLE: Final = "wundr_reader"
"""May read, and nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresSettings:
    """Address and bounds of the connection pool; times in seconds."""

    dsn: str = field(repr=False)
    pool_size: int = 4
    acquire_timeout_s: float = 5.0
    """How long a caller waits for a connection before DatabaseUnavailable."""
    statement_timeout_s: float = 30.0
    """0 sets no bound."""
    role: str | None = None
    """The role that sessions take on, with fewer rights than who connects; migrations do not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkSettings:
    """What the store sink reads, and its bounds in seconds. Dead letters go to `dlq.<app>`."""

    app: str = "wundr"
    group: str = "wundr.sink"
    topic: str = STORE_EVENTS
    batch_records: int = 4_000
    """So many are read for each writer."""
    writers: int = 2
    """Into so many parts a large batch is split, by partition; each has a connection."""
    read_timeout_s: float = 0.5
    first_delay_s: float = 0.2
    longest_delay_s: float = 5.0
    revoke_patience_s: float = 5.0
    """How long a rebalance waits for the batch in work."""
    stores_json: bool = True
    """Whether `events.data` is filled for people who query with SQL."""
