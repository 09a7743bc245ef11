"""The group coordinator of the log in process: members, rebalances, committed offsets."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from streams.records import TopicPartition


class GroupMember(Protocol):
    """A reader that shares partitions with the other members of its group."""

    @property
    def group(self) -> str:
        """The group's name."""
        ...

    def wanted(self) -> Sequence[TopicPartition]:
        """All partitions of its topics."""
        ...

    async def give_back(self) -> None:
        """All its partitions are taken."""
        ...

    async def take_over(self, sources: Sequence[TopicPartition]) -> None:
        """It is given partitions."""
        ...


class MemoryGroups:
    """The group coordinator of a log: committed offsets outlive members."""

    def __init__(self) -> None:
        self._members: dict[str, list[GroupMember]] = {}
        self._committed: dict[str, dict[TopicPartition, int]] = {}
        self._rebalancing = asyncio.Lock()

    def committed(self, group: str) -> dict[TopicPartition, int]:
        """The committed offsets of a group."""
        return self._committed.setdefault(group, {})

    async def join(self, member: GroupMember) -> None:
        """Add a member and share the partitions out anew."""
        self._members.setdefault(member.group, []).append(member)
        await self._rebalance(member.group)

    async def leave(self, member: GroupMember) -> None:
        """Take a member out and give its partitions to the others."""
        members = self._members.get(member.group, [])
        if member in members:
            members.remove(member)
            await self._rebalance(member.group)

    async def _rebalance(self, group: str) -> None:
        async with self._rebalancing:
            members = list(self._members[group])
            await asyncio.gather(*(member.give_back() for member in members))
            sources = sorted({source for member in members for source in member.wanted()})
            for number, member in enumerate(members):
                await member.take_over(
                    [s for at, s in enumerate(sources) if at % len(members) == number]
                )
