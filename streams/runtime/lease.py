"""How long a member may take the group's partitions for its own, and who waits for that.

A process that was frozen learns from the broker that it has lost its partitions only some time
after it goes on. The lease says so at once: it ends with the time, not with an answer.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from streams.entry_sending import send_whole
from streams.log import RecordSender
from streams.receipt import Receipt
from streams.records import OutgoingEntries, OutgoingRecord

LOOK_S: Final = 0.1
"""How often somebody who waits for the lease looks at it."""

SIGNS_OF_MEMBERSHIP: Final[Mapping[int, frozenset[int]]] = {
    12: frozenset({0, 27}),
    14: frozenset({0}),
}
"""Error codes per API key (heartbeat, sync group) that confirm a member, a rebalance included.

https://kafka.apache.org/protocol
"""

Send = Callable[..., Awaitable[Any]]


class Lease:
    """Held while the broker surely counts us as a member: the session has not run out for it."""

    def __init__(self, duration_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """`duration_s`: below the session timeout. `clock`: in seconds, never set back."""
        self._duration_s = duration_s
        self._clock = clock
        self._until = float("-inf")

    @property
    def is_held(self) -> bool:
        """Whether the partitions are ours at this moment."""
        return self._clock() < self._until

    async def wait(self) -> None:
        """Return while the lease is held, at once or when the group has confirmed us again."""
        while not self.is_held:  # noqa: ASYNC110  # it is renewed from another thread
            await asyncio.sleep(LOOK_S)

    def renewing(self, send: Send) -> Send:
        """The same `send` of a Kafka client; answers of the group's coordinator renew the lease.

        It counts from before the request: the broker's session begins after that.
        """

        async def watched(*args: Any, **kwargs: Any) -> Any:
            asked_at = self._clock()
            response = await send(*args, **kwargs)
            signs = SIGNS_OF_MEMBERSHIP.get(getattr(response, "API_KEY", -1), frozenset())
            if signs and response.error_code in signs:
                self._until = max(self._until, asked_at + self._duration_s)
            return response

        return watched


class LeasedSender:
    """Implements RecordSender on another one; it sends nothing for partitions that may be lost."""

    def __init__(self, sender: RecordSender, lease: Lease) -> None:
        self._sender = sender
        self._lease = lease

    async def send(self, record: OutgoingRecord) -> Receipt:
        """See RecordSender. Waits without the lease; a lane that is closed meanwhile ends here."""
        if not self._lease.is_held:
            await self._lease.wait()
        return await self._sender.send(record)

    async def send_whole(self, entries: OutgoingEntries) -> Receipt | None:
        """See EntrySender. Waits as `send` does."""
        if not self._lease.is_held:
            await self._lease.wait()
        return await send_whole(self._sender, entries)

    async def flush(self) -> None:
        """See RecordSender."""
        await self._sender.flush()

    async def close(self) -> None:
        """See RecordSender."""
        await self._sender.close()
