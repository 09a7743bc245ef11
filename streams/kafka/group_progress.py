"""How far a consumer group is in its topics, asked of the broker."""

from collections.abc import Mapping, Sequence

from streams.kafka.offsets import committed_offsets
from streams.kafka.reader import KafkaReader
from streams.records import TopicPartition
from streams.settings import KafkaSettings


class KafkaGroupProgress:
    """Implements GroupProgress. Connects when it is asked first; topics must be there by then."""

    def __init__(self, settings: KafkaSettings, group: str, topics: Sequence[str]) -> None:
        self._settings = settings
        self._group = group
        self._topics = tuple(topics)
        self._reader: KafkaReader | None = None

    async def ends(self) -> Mapping[TopicPartition, int]:
        """See GroupProgress. Raises also TopicMissing."""
        return await (await self._connected()).end()

    async def finished(self) -> Mapping[TopicPartition, int]:
        """See GroupProgress. Raises also TopicMissing."""
        reader = await self._connected()
        committed = await committed_offsets(self._settings, self._group)
        begins = await reader.beginning()
        return {source: max(begin, committed.get(source, 0)) for source, begin in begins.items()}

    async def close(self) -> None:
        """See GroupProgress."""
        if self._reader is not None:
            reader, self._reader = self._reader, None
            await reader.close()

    async def _connected(self) -> KafkaReader:
        if self._reader is None:
            reader = KafkaReader(self._settings, self._topics)
            await reader.start()
            self._reader = reader
        return self._reader
