"""The one factory of Kafka clients: every safe option is set here and nowhere else.

aiokafka's defaults are acks=1, no idempotence, automatic commits and `latest`: each loses events.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final, Literal, TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, ProducerClosed

from schemas.topics import LARGEST_COPY
from streams.errors import TopicMissing
from streams.kafka.compression import compress_quickly
from streams.kafka.errors import kafka_errors
from streams.settings import KafkaSettings

OffsetReset = Literal["earliest", "latest"]

BATCH_BYTES: Final = 128 * 1024
SESSION_MS: Final = 10_000
HEARTBEAT_MS: Final = 3_000
REBALANCE_MS: Final = 30_000
FETCH_WAIT_MS: Final = 100
IDLE_FETCH_MS: Final = 50
RETRY_PAUSE_S: Final = 0.25
STOP_S: Final = 10.0
"""How long a client that cannot reach its broker may take to let go."""

log = structlog.get_logger(__name__)

ClientT = TypeVar("ClientT", AIOKafkaProducer, AIOKafkaConsumer)


def new_producer(settings: KafkaSettings) -> AIOKafkaProducer:
    """Idempotent, acknowledged by all replicas, in order per partition."""
    compress_quickly()
    return AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap,
        client_id=settings.client_id,
        acks="all",
        enable_idempotence=True,
        compression_type="lz4",
        linger_ms=settings.linger_ms,
        max_batch_size=BATCH_BYTES,
        max_request_size=LARGEST_COPY,
    )


def new_consumer(
    settings: KafkaSettings, *, group: str | None = None, reset: OffsetReset = "earliest"
) -> AIOKafkaConsumer:
    """Commits only what it is told, and notices a dead member within ten seconds."""
    return AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap,
        client_id=settings.client_id,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset=reset,
        session_timeout_ms=SESSION_MS,
        heartbeat_interval_ms=HEARTBEAT_MS,
        rebalance_timeout_ms=REBALANCE_MS,
        fetch_max_wait_ms=FETCH_WAIT_MS,
        metadata_max_age_ms=30_000,
    )


def new_fetching_consumer(settings: KafkaSettings) -> AIOKafkaConsumer:
    """A consumer without a group, for whoever follows offsets himself.

    It asks often: while the broker holds a request for idle partitions, those that have just been
    emptied must wait for it.
    """
    return AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap,
        client_id=settings.client_id,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=IDLE_FETCH_MS,
        metadata_max_age_ms=30_000,
    )


async def connect(settings: KafkaSettings, create: Callable[[], ClientT]) -> ClientT:
    """A started client. Tries until `connect_timeout_s` is over, then raises BrokerUnavailable."""
    deadline = time.monotonic() + settings.connect_timeout_s
    while True:
        client = create()
        try:
            with kafka_errors(f"connecting to {settings.bootstrap}"):
                async with asyncio.timeout(max(0.1, deadline - time.monotonic())):
                    await client.start()
        except BaseException as error:
            await stop(client.stop)
            if not isinstance(error, Exception) or time.monotonic() + RETRY_PAUSE_S >= deadline:
                raise
            await asyncio.sleep(RETRY_PAUSE_S)
        else:
            return client


async def stop(stopping: Callable[[], Awaitable[Any]]) -> None:
    """Stop a client; one that hangs or fails while stopping is left behind: nothing needs it."""
    try:
        async with asyncio.timeout(STOP_S):
            await stopping()
    except (KafkaError, OSError, TimeoutError) as error:
        log.warning("client did not stop cleanly", error=f"{type(error).__name__}: {error}")


async def abandon(producer: AIOKafkaProducer) -> None:
    """Let go of a producer; the futures of what it has not delivered fail with ProducerClosed."""
    # aiokafka has no public way to stop while a broker is away: stop() waits for the flush.
    sending: asyncio.Task[None] | None = producer._sender.sender_task  # noqa: SLF001  # see above
    if sending is not None and not sending.done():
        sending.cancel()
        await asyncio.wait({sending}, timeout=STOP_S)
    producer._message_accumulator.fail_all(ProducerClosed())  # noqa: SLF001  # see above
    with suppress(KeyError):
        await stop(producer.stop)


async def wait_for_topic(client: AIOKafkaClient, topic: str, wait_s: float) -> Sequence[int]:
    """The partition numbers of a topic. Raises TopicMissing when a broker says there is none."""
    known = client.cluster.partitions_for_topic(topic)
    if known:
        return sorted(known)
    with kafka_errors(f"looking up topic {topic}"):
        try:
            # The public partitions_for() waits forty seconds for a topic that does not exist.
            async with asyncio.timeout(wait_s):
                return sorted(await client._wait_on_metadata(topic))  # noqa: SLF001  # see above
        except TimeoutError:
            async with asyncio.timeout(wait_s):
                if await client.force_metadata_update():
                    raise TopicMissing(f"topic {topic!r} does not exist") from None
            raise


async def partitions_of(
    consumer: AIOKafkaConsumer, topics: Sequence[str], wait_s: float
) -> tuple[KafkaPartition, ...]:
    """Every partition of these topics. Raises TopicMissing or BrokerUnavailable."""
    client = consumer._client  # noqa: SLF001  # it shows only what it is subscribed to
    found: list[KafkaPartition] = []
    for topic in topics:
        numbers = await wait_for_topic(client, topic, wait_s)
        found += [KafkaPartition(topic, number) for number in numbers]
    return tuple(found)
