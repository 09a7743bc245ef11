"""The Kafka sender: idempotent, acknowledged by all replicas, bounded in memory and in time."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

import structlog
from aiokafka.errors import KafkaError

from schemas.errors import WundrError
from schemas.topics import LARGEST_COPY
from streams.errors import (
    BrokerUnavailable,
    DeliveryFailed,
    NotDelivered,
    PartitionMismatch,
    RecordRefused,
    TopicMissing,
)
from streams.kafka.batching import Batching
from streams.kafka.clients import (
    RETRY_PAUSE_S,
    abandon,
    connect,
    new_producer,
    stop,
    wait_for_topic,
)
from streams.kafka.errors import REFUSED, translated
from streams.kafka.unacknowledged import Pending, Unacknowledged
from streams.metric_names import ACKNOWLEDGED, NOT_SENT, SENT, WAITING
from streams.metrics import Sample
from streams.receipt import Receipt
from streams.records import OutgoingEntries, OutgoingRecord
from streams.settings import KafkaSettings

DRAIN_S: Final = 30.0
"""How long close() waits for acknowledgements where receipts themselves have no limit."""

SMALL_VALUE: Final = LARGEST_COPY // 2
"""Bytes of a value that need no second look: with key and headers they fit any request."""

log = structlog.get_logger(__name__)


class KafkaSender:
    """Implements RecordSender.

    A client that has failed for good (a lost producer id, a broken sequence) is replaced, and what
    it had not delivered is sent again in order: repeats are possible then, losses are not.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._unacknowledged = Unacknowledged(
            settings.buffer_records, settings.acknowledge_timeout_s
        )
        self._client: Batching | None = None
        self._successor: Batching | None = None
        self._connecting = asyncio.Lock()
        self._replacing: asyncio.Task[None] | None = None
        self._letting_go: asyncio.Task[None] | None = None
        self._closed = False

    async def start(self) -> None:
        """Connect, as the first send() does. Raises BrokerUnavailable after `connect_timeout_s`."""
        await self._connected()

    async def send(self, record: OutgoingRecord) -> Receipt:
        """See RecordSender. Raises also TopicMissing, PartitionMismatch or RecordRefused."""
        if self._closed:
            raise BrokerUnavailable("the sender is closed")
        if not self._unacknowledged.has_room:
            await self._unacknowledged.room()
        pending = self._unacknowledged.take(record)
        client = self._client
        if client is not None and client.takes(record) and _is_small(record):
            self._give(client, pending)
        else:
            await self._send_first(pending)
        return Receipt(pending.event_id, pending.promise)

    async def send_whole(self, entries: OutgoingEntries) -> Receipt | None:
        """See EntrySender."""
        if self._closed or not Batching.takes_whole(entries):
            return None
        if not self._unacknowledged.has_room:
            await self._unacknowledged.room()
        first, client = next(entries.records()), self._client
        if client is None or not client.takes(first):
            self._unacknowledged.pass_on()
            return None
        pending = self._unacknowledged.take(first, entries)
        self._give(client, pending)
        return Receipt(pending.event_id, pending.promise)

    def samples(self) -> Iterable[Sample]:
        """See MetricSource. What is sent is acknowledged, given up, or waits."""
        kept = self._unacknowledged
        yield SENT.sample(kept.acknowledged + kept.failed + kept.waiting)
        yield ACKNOWLEDGED.sample(kept.acknowledged)
        yield NOT_SENT.sample(kept.failed)
        yield WAITING.sample(kept.waiting)

    async def flush(self) -> None:
        """Return when every record sent so far is acknowledged or given up."""
        await self._unacknowledged.settle()

    async def close(self) -> None:
        """Drain for a bounded time, then let go. Raises NotDelivered with all that is missing."""
        if self._closed:
            return
        await self._unacknowledged.settle(self._settings.acknowledge_timeout_s or DRAIN_S)
        self._closed = True
        self._unacknowledged.give_up_all()
        self._unacknowledged.stop()
        if (replacing := self._replacing) is not None:
            replacing.cancel()
            with suppress(asyncio.CancelledError):
                await replacing
        if self._client is not None:
            client, self._client = self._client, None
            if self._unacknowledged.lost_ids:
                await self._abandon(client)
            else:
                await stop(client.producer.stop)
        if self._unacknowledged.lost_ids:
            raise NotDelivered(self._unacknowledged.lost_ids)

    def _give(self, client: Batching, pending: Pending) -> None:
        try:
            client.add(pending)
        except BaseException:
            self._unacknowledged.withdraw(pending)
            raise

    async def _send_first(self, pending: Pending) -> None:
        """Send a record for which there is no client yet, or whose topic is not known to it."""
        try:
            async with asyncio.timeout(self._settings.acknowledge_timeout_s):
                await self._hand_over(pending)
        except TimeoutError:
            self._unacknowledged.withdraw(pending)
            raise BrokerUnavailable(
                f"no broker at {self._settings.bootstrap} took a record for "
                f"{pending.record.topic} in time"
            ) from None
        except BaseException:
            self._unacknowledged.withdraw(pending)
            raise

    async def _hand_over(self, pending: Pending) -> None:
        record = pending.record
        while True:
            client = await self._connected()
            partitions = await wait_for_topic(
                client.producer.client, record.topic, self._settings.connect_timeout_s
            )
            if record.partition is not None and record.partition not in partitions:
                raise PartitionMismatch(f"{record.topic!r} has no partition {record.partition}")
            _refuse_too_large(record)
            client.learn(record.topic, len(partitions))
            if client is self._client:
                client.add(pending)
                return

    async def _connected(self) -> Batching:
        async with self._connecting:
            while self._replacing is not None and not self._closed:
                await asyncio.wait({self._replacing})
            if self._closed:
                raise BrokerUnavailable("the sender is closed")
            if self._client is None:
                self._client = await self._first_client()
            return self._client

    async def _first_client(self) -> Batching:
        client = await self._new_client()
        if self._closed:
            # close() came while it connected, and could not let go of it.
            self._letting_go = asyncio.create_task(self._abandon(client), name="let go of producer")
            await asyncio.shield(self._letting_go)
            raise BrokerUnavailable("the sender is closed")
        return client

    async def _new_client(self) -> Batching:
        producer = await connect(self._settings, partial(new_producer, self._settings))
        return Batching(producer, self._settings.linger_ms / 1000, self)

    def delivered(self, batch: Sequence[Pending], topic: str, partition: int, offset: int) -> None:
        """See Deliveries."""
        self._unacknowledged.acknowledge(batch, topic, partition, offset)

    def not_delivered(
        self, client: Batching, batch: Sequence[Pending], error: BaseException
    ) -> None:
        """See Deliveries. Nobody may wait for ever for what a defect keeps from being sent."""
        if isinstance(error, REFUSED) or not isinstance(error, KafkaError | OSError):
            for pending in batch:
                self._unacknowledged.give_up(pending, _given_up(pending, error))
        if not isinstance(error, REFUSED):
            self._replace(client, error)

    def _replace(self, failed: Batching, error: BaseException) -> None:
        """Begin to replace the client, unless that was begun or is not of use any more."""
        if failed is self._successor:
            log.warning("new producer failed too", error=f"{type(error).__name__}: {error}")
            self._successor = None
        if self._closed or failed is not self._client:
            return
        log.warning("producer failed and is replaced", error=f"{type(error).__name__}: {error}")
        self._client = None
        self._replacing = asyncio.create_task(self._replacement(failed), name="replace producer")

    async def _replacement(self, failed: Batching) -> None:
        """Try until a client has taken all that is missing; a defect gives it up instead."""
        try:
            await self._abandon(failed)
            while True:
                if await self._succeed():
                    return
                await asyncio.sleep(RETRY_PAUSE_S)
        except Exception as error:  # whatever it is, nobody may wait for these records for ever
            log.exception("producer not replaced")
            self._unacknowledged.give_up_handed_over(error)
        finally:
            self._replacing = None

    async def _succeed(self) -> bool:
        """Whether a new client took over, with all records that the last one had not delivered."""
        try:
            client = await self._new_client()
        except BrokerUnavailable:
            return False
        self._successor = client
        try:
            for pending in self._unacknowledged.handed_over():
                await self._hand_on(client, pending)
        except (KafkaError, BrokerUnavailable, TopicMissing) as error:
            # A broker that has just started may not know its topics yet.
            self._replace(client, error)
        except BaseException:
            await self._abandon(client)
            raise
        if self._successor is not client:
            await self._abandon(client)
            return False
        self._client, self._successor = client, None
        return True

    async def _hand_on(self, client: Batching, pending: Pending) -> None:
        """Give a record to the successor of the client that had it."""
        record = pending.record
        if not client.takes(record):
            partitions = await wait_for_topic(
                client.producer.client, record.topic, self._settings.connect_timeout_s
            )
            client.learn(record.topic, len(partitions))
        client.add(pending)

    @staticmethod
    async def _abandon(client: Batching) -> None:
        client.stop()
        await abandon(client.producer)


def _given_up(pending: Pending, error: BaseException) -> WundrError:
    if isinstance(error, REFUSED):
        return translated(error, f"sending event {pending.event_id}")
    failure = DeliveryFailed(
        f"event {pending.event_id} was not acknowledged: {type(error).__name__}: {error}"
    )
    failure.__cause__ = error
    return failure


def _is_small(record: OutgoingRecord) -> bool:
    return len(record.value or b"") <= SMALL_VALUE


def _refuse_too_large(record: OutgoingRecord) -> None:
    """A request that is too large would be refused by the client, and its neighbours with it."""
    if _is_small(record):
        return
    size = len(record.key or b"") + len(record.value or b"")
    size += sum(len(name) + len(content or b"") for name, content in record.headers)
    if size > LARGEST_COPY:
        raise RecordRefused(
            f"a record of {size:,} bytes for {record.topic}; {LARGEST_COPY:,} are taken"
        )
