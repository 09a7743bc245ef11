"""Orders to running processes: the compacted topic `wundr.control`.

A key says whom an order is for and about what (`breaker/<app>/<name>`), the value is a JSON object.
The last order of a key holds until another one takes its place or a tombstone takes it back, so a
process that starts later follows it, too. Every process reads the topic whole, without a group.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson
import structlog

from schemas.topics import CONTROL_TOPIC
from streams.errors import InfrastructureError
from streams.log import PartitionFetcher, RecordSender
from streams.records import OutgoingRecord, RawRecord, TopicPartition

FETCH_RECORDS: Final = 500

FETCH_S: Final = 1.0
"""How long a fetch waits for an order."""

LOOK_S: Final = 0.1
"""How long a fetch waits while the orders that stand are read."""

CONNECT_AGAIN_S: Final = 0.5
"""The pause before a fetcher is replaced that has lost its broker."""

Order = Mapping[str, Any]
Listener = Callable[[str, Order | None], None]
"""Told of the last order of a key, or of None when it was taken back. Returns at once."""

CONTROL_SOURCE: Final = TopicPartition(CONTROL_TOPIC, 0)

log = structlog.get_logger(__name__)


def order_record(key: str, order: Order | None) -> OutgoingRecord:
    """The record of an order; None takes back what was ordered under the key."""
    value = None if order is None else orjson.dumps(dict(order))
    return OutgoingRecord(topic=CONTROL_TOPIC, key=key.encode(), value=value)


async def give_order(sender: RecordSender, key: str, order: Order | None) -> None:
    """Send an order, acknowledged. Raises BrokerUnavailable, DeliveryFailed, TopicMissing."""
    receipt = await sender.send(order_record(key, order))
    await receipt


class Orders:
    """The last order of each key, and who listens to which keys.

    A listener hears of every key that begins with its prefix: of those that stand when it comes,
    then of each change.
    """

    def __init__(self) -> None:
        self._standing: dict[str, Order] = {}
        self._listeners: list[tuple[str, Listener]] = []

    def listen(self, prefix: str, listener: Listener) -> None:
        """Tell `listener` of the keys with this prefix."""
        self._listeners.append((prefix, listener))
        for key, order in self.standing(prefix).items():
            listener(key, order)

    def standing(self, prefix: str = "") -> Mapping[str, Order]:
        """The orders that hold now, by key."""
        return {key: order for key, order in self._standing.items() if key.startswith(prefix)}

    def take(self, record: RawRecord) -> None:
        """Follow what a record says. What is no order is left out, with a line in the log."""
        try:
            key = (record.key or b"").decode()
            order = None if record.value is None else _decoded(record.value)
        except ValueError as error:
            log.warning(
                "a record of wundr.control is no order", offset=record.offset, error=str(error)
            )
            return
        if order is None:
            self._standing.pop(key, None)
        else:
            self._standing[key] = order
        for prefix, listener in self._listeners:
            if key.startswith(prefix):
                listener(key, order)


class Control:
    """Follows the topic in the background; reconnects by itself."""

    def __init__(
        self,
        open_fetcher: Callable[[], PartitionFetcher],
        sources: Sequence[TopicPartition] = (CONTROL_SOURCE,),
    ) -> None:
        """`open_fetcher`: a new one, not started."""
        self.orders = Orders()
        self._open_fetcher = open_fetcher
        self._next: dict[TopicPartition, int] = dict.fromkeys(sources, 0)
        self._fetcher: PartitionFetcher | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return when the orders that stand are known to the listeners; go on in the background.

        Raises BrokerUnavailable. Listeners that come later hear of them as well.
        """
        fetcher = await self._opened()
        try:
            ends = await fetcher.ends(list(self._next))
            while await self._behind(fetcher, ends):
                await self._fetch(fetcher, LOOK_S)
        except BaseException:
            await self._disconnect()
            raise
        self._task = asyncio.create_task(self._follow(), name="control")

    def raise_failure(self) -> None:
        """Raise what has ended the task, such as what a listener has raised."""
        if self._task is not None and self._task.done() and not self._task.cancelled():
            self._task.result()

    async def close(self) -> None:
        """Follow no longer."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        await self._disconnect()

    async def _follow(self) -> None:
        while True:
            try:
                await self._fetch(self._fetcher or await self._opened(), FETCH_S)
            except InfrastructureError as error:
                log.warning("orders are not followed", error=str(error))
                await self._disconnect()
                await asyncio.sleep(CONNECT_AGAIN_S)

    async def _opened(self) -> PartitionFetcher:
        self._fetcher = self._open_fetcher()
        await self._fetcher.start(self._next)
        return self._fetcher

    async def _disconnect(self) -> None:
        if self._fetcher is not None:
            fetcher, self._fetcher = self._fetcher, None
            await fetcher.close()

    async def _fetch(self, fetcher: PartitionFetcher, wait_s: float) -> None:
        fetched = await fetcher.fetch(list(self._next), FETCH_RECORDS, wait_s)
        for source, records in fetched.items():
            for record in records:
                # Known as taken before anybody hears of it: whoever fails is not told twice.
                self._next[source] = record.offset + 1
                self.orders.take(record)

    async def _behind(self, fetcher: PartitionFetcher, ends: Mapping[TopicPartition, int]) -> bool:
        """Whether something that stood at the start is unread; compaction may leave holes."""
        for source, end in ends.items():
            if self._next[source] < end and await fetcher.position(source) < end:
                return True
        return False


def _decoded(value: bytes) -> Order:
    order = orjson.loads(value)
    if not isinstance(order, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004  # of a value, not of an argument
    return order
