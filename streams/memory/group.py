"""A member of a consumer group over the log in process."""

from collections.abc import Mapping, Sequence
from typing import Literal

from streams.errors import BrokerUnavailable, CommitRefused
from streams.log import AssignmentListener
from streams.memory.log import MemoryLog
from streams.memory.reader import Positions
from streams.records import RawRecord, TopicPartition


class MemoryGroupReader:
    """Implements GroupReader. All members of a group read the same topics."""

    def __init__(
        self,
        log: MemoryLog,
        group: str,
        topics: Sequence[str],
        listener: AssignmentListener,
        *,
        reset: Literal["earliest", "latest"] = "earliest",
    ) -> None:
        self._group = group
        self._log = log
        self._groups = log.groups
        self._topics = tuple(topics)
        self._listener = listener
        self._reset = reset
        self._positions = Positions(log)
        self._assigned: tuple[TopicPartition, ...] = ()
        self._failure: Exception | None = None
        self._joined = False

    @property
    def group(self) -> str:
        """The group's name."""
        return self._group

    async def start(self) -> None:
        """Join the group. Raises TopicMissing."""
        self.wanted()
        self._joined = True
        await self._groups.join(self)

    async def read(
        self, max_records: int = 500, timeout_s: float = 1.0, *, shares: int = 1
    ) -> Mapping[TopicPartition, list[RawRecord]]:
        """The next records. Raises what the listener has raised."""
        if self._failure is not None:
            raise self._failure
        if not self._joined:
            raise BrokerUnavailable(f"the reader of group {self._group} is not started")
        return await self._positions.read(max_records, timeout_s, shares)

    async def positions(self) -> Mapping[TopicPartition, int]:
        """See GroupReader."""
        return self._positions.positions()

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Record the next offsets. Raises CommitRefused for a partition that is ours no more."""
        foreign = set(offsets) - set(self._assigned)
        if foreign:
            raise CommitRefused(f"{self._group} gave away {', '.join(map(str, sorted(foreign)))}")
        self._groups.committed(self._group).update(offsets)

    def known_ends(self) -> Mapping[TopicPartition, int]:
        """See GroupReader."""
        return {source: self._log.end(source) for source in self._assigned}

    async def close(self) -> None:
        """Leave the group."""
        self._joined = False
        self._assigned = ()
        self._positions.set({})
        await self._groups.leave(self)

    def wanted(self) -> list[TopicPartition]:
        """All partitions of the topics."""
        return [source for topic in self._topics for source in self._log.partitions(topic)]

    async def give_back(self) -> None:
        """The coordinator takes all partitions."""
        try:
            await self._listener.revoked(self._assigned)
        except Exception as error:  # noqa: BLE001  # kept for the next read
            self._failure = error
        self._assigned = ()
        self._positions.set({})

    async def take_over(self, sources: Sequence[TopicPartition]) -> None:
        """The coordinator gives partitions."""
        self._assigned = tuple(sources)
        try:
            starts = await self._listener.assigned(self._assigned)
        except Exception as error:  # noqa: BLE001  # kept for the next read; nothing is read
            self._failure = error
            return
        committed = self._groups.committed(self._group)
        for source in sources:
            if source not in committed and self._reset == "latest":
                committed[source] = self._log.end(source)
        self._positions.set(
            {source: starts.get(source, committed.get(source, 0)) for source in sources}
        )
