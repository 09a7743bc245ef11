"""A sender that takes all entries that go as one."""

from __future__ import annotations

import asyncio

from streams.receipt import Receipt
from streams.records import OutgoingEntries, OutgoingRecord


class TakesWhole:
    """Implements RecordSender and EntrySender; to be made while a loop runs."""

    def __init__(self) -> None:
        self.receipt = Receipt("first", asyncio.get_running_loop().create_future())
        self.given: list[OutgoingEntries] = []

    async def send(self, record: OutgoingRecord) -> Receipt:
        """Nobody does."""
        raise NotImplementedError

    async def send_whole(self, entries: OutgoingEntries) -> Receipt | None:
        """See EntrySender."""
        self.given.append(entries)
        return self.receipt

    async def flush(self) -> None:
        """Nothing is on its way."""

    async def close(self) -> None:
        """Nothing is open."""
