"""Bounds on what one peer may ask for. The clock is passed in: seconds, monotonic."""

from collections import Counter
from dataclasses import dataclass, field

from gateway.errors import TooManyConnections


@dataclass(slots=True, kw_only=True)
class TokenBucket:
    """Allows `rate` takes a second on average and `burst` at once."""

    rate: float
    burst: float
    refilled_at: float
    level: float = field(init=False)

    def __post_init__(self) -> None:
        """Start full."""
        self.level = self.burst

    def take(self, now: float) -> bool:
        """Take one if there is one."""
        self.level = min(self.burst, self.level + (now - self.refilled_at) * self.rate)
        self.refilled_at = now
        if self.level < 1:
            return False
        self.level -= 1
        return True


@dataclass(slots=True, kw_only=True)
class ConnectionLimits:
    """Counts open connections, in all and for each address, and how fast new ones come."""

    total: int
    per_address: int
    arrivals: TokenBucket
    open: Counter[str] = field(default_factory=Counter)

    def enter(self, address: str, now: float) -> None:
        """Count a connection in. Raises TooManyConnections and counts nothing."""
        if self.open.total() >= self.total:
            raise TooManyConnections("this gateway has as many connections as it may have")
        if self.open[address] >= self.per_address:
            raise TooManyConnections("this address has as many connections as it may have")
        if not self.arrivals.take(now):
            raise TooManyConnections("new connections come too fast")
        self.open[address] += 1

    def leave(self, address: str) -> None:
        """Count a connection out."""
        self.open[address] -= 1
        if self.open[address] <= 0:
            del self.open[address]
