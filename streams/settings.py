"""How a process reaches Kafka. Built once at start and passed down."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSettings:
    """Broker address, the installation's partition count P, and bounds; times in seconds.

    Without `acknowledge_timeout_s` (workers) a send waits for as long as the broker is away.
    """

    bootstrap: str
    partitions: int = 4
    client_id: str = "wundr"
    buffer_records: int = 10_000
    acknowledge_timeout_s: float | None = 30.0
    connect_timeout_s: float = 10.0
    schema_wait_s: float = 10.0
    linger_ms: int = 5
    """How long a record may wait for others to share its request."""
