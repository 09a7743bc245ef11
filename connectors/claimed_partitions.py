"""The partitions a sink owns: on assignment their offsets come from Postgres, never from Kafka."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress

from connectors.sink_target import Claim
from streams.records import TopicPartition

Claiming = Callable[[Iterable[int]], Awaitable[Mapping[int, Claim]]]


class ClaimedPartitions:
    """Implements AssignmentListener: claims what is assigned, lets the batch in work end first.

    Reading and storing a batch happens while `working` is held and the assignment is settled: a
    read that overlapped a new claim could begin behind its offset and leave a hole.
    What claiming raises, the group's reader raises in turn.
    """

    def __init__(self, topic: str, claiming: Claiming, *, revoke_patience_s: float) -> None:
        self.working = asyncio.Lock()
        self._topic = topic
        self._claiming = claiming
        self._patience_s = revoke_patience_s
        self._claims: dict[int, Claim] = {}
        self._settled = asyncio.Event()
        self.generation = 0
        """Higher after each change of the assignment: what was read before is read again."""

    async def settled(self, timeout_s: float) -> bool:
        """Whether the assignment is complete by now, or within the time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._settled.wait()
        except TimeoutError:
            return False
        return True

    async def revoked(self, partitions: Iterable[TopicPartition]) -> None:
        """Give up these partitions once the batch in work is stored, or after a bounded wait.

        A batch that takes longer is refused by its claim, if a new owner was faster.
        """
        self._settled.clear()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._patience_s):
                    await self.working.acquire()
                self.working.release()
        finally:
            self.generation += 1
            for partition in partitions:
                self._claims.pop(partition.partition, None)

    async def assigned(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Claim these partitions; returns the offsets that the database wants next."""
        wanted = sorted(partition.partition for partition in partitions)
        try:
            claims = await self._claiming(wanted) if wanted else {}
        finally:
            self._settled.set()
        self._claims.update(claims)
        return {TopicPartition(self._topic, at): claim.next for at, claim in claims.items()}

    def snapshot(self) -> Mapping[int, Claim]:
        """The claims held now."""
        return dict(self._claims)

    def advance(self, claims: Mapping[int, Claim], following: Mapping[int, int]) -> None:
        """Note what a batch stored; a partition that was given up or claimed anew is left alone."""
        for partition, offset in following.items():
            claim = claims[partition]
            held = self._claims.get(partition)
            if held is not None and held.epoch == claim.epoch:
                self._claims[partition] = claim._replace(next=offset)
