"""The Kafka sender: idempotent, acknowledged by all replicas, bounded in memory and in time."""

import asyncio
from contextlib import suppress
from functools import partial
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, KafkaTimeoutError

from streams.errors import BrokerUnavailable, NotDelivered, PartitionMismatch
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
from streams.receipt import Acknowledgement, Receipt
from streams.records import OutgoingRecord
from streams.settings import KafkaSettings

DRAIN_S: Final = 30.0
"""How long close() waits for acknowledgements where receipts themselves have no limit."""

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
        self._producer: AIOKafkaProducer | None = None
        self._successor: AIOKafkaProducer | None = None
        self._connecting = asyncio.Lock()
        self._replacing: asyncio.Task[None] | None = None
        self._closed = False

    async def start(self) -> None:
        """Connect, as the first send() does. Raises BrokerUnavailable after `connect_timeout_s`."""
        await self._connected()

    async def send(self, record: OutgoingRecord) -> Receipt:
        """See RecordSender. Raises also TopicMissing, PartitionMismatch or RecordRefused."""
        if self._closed:
            raise BrokerUnavailable("the sender is closed")
        pending = await self._unacknowledged.take(record)
        try:
            async with asyncio.timeout(self._settings.acknowledge_timeout_s):
                await self._hand_over(pending)
        except TimeoutError:
            self._unacknowledged.withdraw(pending)
            raise BrokerUnavailable(
                f"no broker at {self._settings.bootstrap} took a record for {record.topic} in time"
            ) from None
        except BaseException:
            self._unacknowledged.withdraw(pending)
            raise
        return Receipt(pending.event_id, pending.promise)

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
        if self._producer is not None:
            lost = bool(self._unacknowledged.lost_ids)
            await (abandon(self._producer) if lost else stop(self._producer.stop))
            self._producer = None
        if self._unacknowledged.lost_ids:
            raise NotDelivered(self._unacknowledged.lost_ids)

    async def _connected(self) -> AIOKafkaProducer:
        async with self._connecting:
            while self._replacing is not None and not self._closed:
                await asyncio.wait({self._replacing})
            if self._closed:
                raise BrokerUnavailable("the sender is closed")
            if self._producer is None:
                self._producer = await connect(
                    self._settings, partial(new_producer, self._settings)
                )
            return self._producer

    async def _hand_over(self, pending: Pending) -> None:
        record = pending.record
        while True:
            producer = await self._connected()
            partitions = await wait_for_topic(
                producer.client, record.topic, self._settings.connect_timeout_s
            )
            if record.partition is not None and record.partition not in partitions:
                raise PartitionMismatch(f"{record.topic!r} has no partition {record.partition}")
            try:
                await self._give_to(producer, pending)
            except KafkaTimeoutError:
                continue  # the partition's buffer stayed full: the record was not taken
            except REFUSED as error:
                raise translated(error, f"sending to {record.topic}") from error
            except KafkaError as error:
                self._replace(producer, error)
            else:
                return

    async def _give_to(self, producer: AIOKafkaProducer, pending: Pending) -> None:
        record = pending.record
        delivery = await producer.send(
            record.topic,
            value=record.value,
            key=record.key,
            partition=record.partition,
            headers=list(record.headers),
        )
        pending.handed_over = True
        delivery.add_done_callback(partial(self._settle, producer, pending))

    def _settle(
        self, producer: AIOKafkaProducer, pending: Pending, delivery: "asyncio.Future[Any]"
    ) -> None:
        error = delivery.exception()
        if error is None:
            place = delivery.result()
            self._unacknowledged.acknowledge(
                pending, Acknowledgement(place.topic, place.partition, place.offset)
            )
        elif isinstance(error, REFUSED):
            self._unacknowledged.give_up(
                pending, translated(error, f"sending event {pending.event_id}")
            )
        else:
            self._replace(producer, error)

    def _replace(self, failed: AIOKafkaProducer, error: BaseException) -> None:
        """Begin to replace the client, unless that was begun or is not of use any more."""
        if failed is self._successor:
            log.warning("new producer failed too", error=f"{type(error).__name__}: {error}")
            self._successor = None
        if self._closed or failed is not self._producer:
            return
        log.warning("producer failed and is replaced", error=f"{type(error).__name__}: {error}")
        self._producer = None
        self._replacing = asyncio.create_task(self._replacement(failed), name="replace producer")

    async def _replacement(self, failed: AIOKafkaProducer) -> None:
        """Try until a client has taken all that is missing; a defect gives it up instead."""
        try:
            await abandon(failed)
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
            producer = await connect(self._settings, partial(new_producer, self._settings))
        except BrokerUnavailable:
            return False
        self._successor = producer
        try:
            for pending in self._unacknowledged.handed_over():
                await self._give_to(producer, pending)
        except KafkaError as error:
            self._replace(producer, error)
        except BaseException:
            await abandon(producer)
            raise
        if self._successor is None:
            await abandon(producer)
            return False
        self._producer, self._successor = producer, None
        return True
