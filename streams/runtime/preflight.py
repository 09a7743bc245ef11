"""Before a worker joins its group: all topics are there and have the same partition count.

Tables, repartition topics and events share partition numbers: with unequal counts totals would be
wrong without a word.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from schemas.topics import CONTROL_TOPIC
from streams.errors import PartitionMismatch
from streams.log import RecordReader
from streams.records import TopicPartition


async def check_topics(reader: RecordReader, partitions: int) -> None:
    """Ask the broker, for a bounded time.

    Raises BrokerUnavailable, TopicMissing or PartitionMismatch.
    """
    await reader.start()
    try:
        check_partition_counts(await reader.partitions(), partitions)
    finally:
        await reader.close()


def check_partition_counts(found: Iterable[TopicPartition], partitions: int) -> None:
    """Raise PartitionMismatch that names every topic with another count."""
    counts: Mapping[str, int] = Counter(topic for topic, _ in found)
    wrong = [
        f"{topic} has {count}"
        for topic, count in sorted(counts.items())
        if count != (1 if topic == CONTROL_TOPIC else partitions)
    ]
    if wrong:
        raise PartitionMismatch(f"{partitions} partitions are expected, but {', '.join(wrong)}")
