"""A SinkTarget in process, with switches for the troubles that a database can have."""

import asyncio
from collections.abc import Iterable, Mapping

from connectors.errors import DatabaseUnavailable, Fenced, ForeignCluster, VersionTaken
from connectors.event_row import EventRow
from connectors.sink_target import Batch, Claim, Stored


class MemoryTarget:
    """`away` counts calls that fail; `lose_reply` makes the next commit succeed unheard.

    Nothing is stored while `open` is not set.
    """

    def __init__(self) -> None:
        self.rows: dict[str, EventRow] = {}
        self.offsets: dict[int, Claim] = {}
        self.topic_id: str | None = None
        self.away = 0
        self.lose_reply = False
        self.calls = 0
        self.open = asyncio.Event()
        self.open.set()

    async def claim(self, topic_id: str, partitions: Iterable[int]) -> Mapping[int, Claim]:
        self._answer()
        if self.topic_id not in (None, topic_id):
            raise ForeignCluster(topic_id, [str(self.topic_id)])
        claims = {}
        for partition in partitions:
            self.topic_id = topic_id
            known = self.offsets.get(partition, Claim(0, 0))
            claims[partition] = self.offsets[partition] = known._replace(epoch=known.epoch + 1)
        return claims

    async def store(self, topic_id: str, batch: Batch) -> Stored:
        self._answer()
        self.calls += 1
        await self.open.wait()
        stale = [at for at in batch.next if self.offsets[at] != batch.claims[at]]
        if stale:
            raise Fenced(stale)
        new = {placed.row.event_id: placed.row for placed in batch.rows}
        taken = [row.event_id for row in new.values() if self._is_taken(row)]
        if taken:
            raise VersionTaken(taken)
        added = {key: row for key, row in new.items() if key not in self.rows}
        self.rows |= added
        for partition, offset in batch.next.items():
            self.offsets[partition] = self.offsets[partition]._replace(next=offset)
        if self.lose_reply:
            self.lose_reply = False
            raise DatabaseUnavailable("the reply to COMMIT was lost")
        return Stored(new=len(added), repeated=len(batch.rows) - len(added))

    def _answer(self) -> None:
        if self.away:
            self.away -= 1
            raise DatabaseUnavailable

    def _is_taken(self, row: EventRow) -> bool:
        return row.aggregate_version is not None and any(
            (known.aggregate_type, known.aggregate_id, known.aggregate_version)
            == (row.aggregate_type, row.aggregate_id, row.aggregate_version)
            and known.event_id != row.event_id
            for known in self.rows.values()
        )
