"""Records for the sender's buffer, and the turns of the loop that a test waits for."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from streams.kafka.unacknowledged import Pending, Unacknowledged
from streams.receipt import Acknowledgement
from streams.records import OutgoingRecord

PLACE: Final = Acknowledgement("t", 0, 7)


def record(event_id: str | None = None) -> OutgoingRecord:
    """A record of an event; of none without an id."""
    headers = () if event_id is None else (("ce_id", event_id.encode()),)
    return OutgoingRecord(topic="t", key=b"k", value=b"v", headers=headers)


async def taken(buffer: Unacknowledged, one: OutgoingRecord) -> Pending:
    """A record, once there is room for it."""
    if not buffer.has_room:
        await buffer.room()
    return buffer.take(one)


async def until_all_wait() -> None:
    """Run every task until it waits for something."""
    loop: Any = asyncio.get_running_loop()
    await asyncio.sleep(0)
    while loop._ready:  # noqa: ASYNC110  # no event says that nothing is ready
        await asyncio.sleep(0)
