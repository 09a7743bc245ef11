"""Committed offsets of any consumer group."""

import asyncio
from collections.abc import Mapping

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from streams.kafka.clients import RETRY_PAUSE_S
from streams.kafka.errors import kafka_errors
from streams.records import TopicPartition
from streams.settings import KafkaSettings


async def committed_offsets(settings: KafkaSettings, group: str) -> Mapping[TopicPartition, int]:
    """What the broker has for a group; nothing for one that does not exist.

    Raises BrokerUnavailable.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap, client_id=settings.client_id)
    with kafka_errors(f"asking for the offsets of {group}"):
        try:
            async with asyncio.timeout(settings.connect_timeout_s):
                await admin.start()
                return await _offsets(admin, group)
        finally:
            await admin.close()


async def _offsets(admin: AIOKafkaAdminClient, group: str) -> Mapping[TopicPartition, int]:
    while True:
        try:
            found = await admin.list_consumer_group_offsets(group)
        except GroupCoordinatorNotAvailableError:
            # A new broker makes the topic of its groups when it is first asked for one.
            await asyncio.sleep(RETRY_PAUSE_S)
        else:
            return {TopicPartition(*source): place.offset for source, place in found.items()}
