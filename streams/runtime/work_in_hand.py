"""All that a member has in work for its partitions: the lanes, and what is tried again."""

import asyncio
from collections.abc import Mapping

from streams.lane import Lanes
from streams.parking.redoing import Redoing
from streams.records import TopicPartition


class WorkInHand:
    """Implements consumer.Progress."""

    def __init__(self, lanes: Lanes, redoing: Redoing) -> None:
        self._lanes = lanes
        self._redoing = redoing

    def committable(self) -> Mapping[TopicPartition, int]:
        """See Progress."""
        return self._lanes.committable()

    async def drain(self, deadline_s: float) -> None:
        """See Progress."""
        await asyncio.gather(self._lanes.drain(deadline_s), self._redoing.drain(deadline_s))

    async def close(self) -> None:
        """See Progress."""
        await asyncio.gather(self._lanes.close(), self._redoing.close())
