"""Committed offsets of any consumer group."""

from collections.abc import Mapping

from aiokafka.admin import AIOKafkaAdminClient

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
            await admin.start()
            found = await admin.list_consumer_group_offsets(group)
        finally:
            await admin.close()
    return {TopicPartition(*source): place.offset for source, place in found.items()}
