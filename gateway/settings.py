"""Settings of one gateway node. All faults are named at once; the secret is never in a repr."""

from dataclasses import dataclass, field

from gateway.errors import InvalidGatewaySettings
from gateway.origins import is_loopback, is_origin

MINIMUM_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySettings:
    """Where the gateway listens, whom it lets in, and its bounds (seconds, bytes, counts).

    `port` 0 takes a free one. Without `origins`, pages of the gateway's own address and of loopback
    names may connect. A client that is more than `compress_lag_records` behind in a partition is
    sent compressible types compressed. `development` serves the live page and its token: on
    loopback only.
    """

    jwt_secret: str = field(repr=False)
    host: str = "127.0.0.1"
    port: int = 0
    jwt_audience: str = "wundr-gateway"
    jwt_issuer: str = "wundr"
    origins: tuple[str, ...] = ()
    development: bool = False
    connect_deadline_s: float = 5.0
    stall_deadline_s: float = 30.0
    bookmark_interval_s: float = 10.0
    history_records: int = 100_000
    history_bytes: int = 256 * 1024 * 1024
    history_deadline_s: float = 60.0
    max_connections: int = 5_000
    max_connections_per_address: int = 1_000
    connections_per_second: float = 100.0
    messages_per_second: float = 50.0
    max_message_bytes: int = 64 * 1024
    max_rooms: int = 128
    max_patterns: int = 64
    queue_packets: int = 64
    queue_bytes: int = 256 * 1024
    compress_lag_records: int = 1_000

    def __post_init__(self) -> None:
        """Refuse settings that cannot work, naming every fault."""
        faults = _faults(self)
        if faults:
            raise InvalidGatewaySettings(faults)


def _faults(settings: GatewaySettings) -> list[str]:
    faults = [
        f"{name} must be greater than zero" for name in _POSITIVE if getattr(settings, name) <= 0
    ]
    if len(settings.jwt_secret.encode()) < MINIMUM_SECRET_BYTES:
        faults.append(f"jwt_secret needs at least {MINIMUM_SECRET_BYTES} bytes")
    if not 0 <= settings.port <= 65_535:
        faults.append(f"port {settings.port} is not between 0 and 65535")
    if settings.development and not is_loopback(settings.host):
        faults.append(f"development needs a loopback host, not {settings.host!r}")
    faults.extend(
        f"origin {origin!r} is not like https://example.org"
        for origin in settings.origins
        if not is_origin(origin)
    )
    return faults


_POSITIVE = (
    "connect_deadline_s",
    "stall_deadline_s",
    "bookmark_interval_s",
    "history_records",
    "history_bytes",
    "history_deadline_s",
    "max_connections",
    "max_connections_per_address",
    "connections_per_second",
    "messages_per_second",
    "max_message_bytes",
    "max_rooms",
    "max_patterns",
    "queue_packets",
    "queue_bytes",
    "compress_lag_records",
)
