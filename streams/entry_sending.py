"""Sending the entries of a table's changelog, many at a time where the sender can."""

import asyncio
from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple, Protocol, cast, runtime_checkable

from streams.log import RecordSender
from streams.receipt import Acknowledgement, Receipt
from streams.records import OutgoingEntries


class Stretch(NamedTuple):
    """Where entries stand in their topic, one behind the other."""

    topic: str
    offsets: range


@runtime_checkable
class EntrySender(Protocol):
    """A RecordSender that has less to do for many entries than for each by itself."""

    async def send_whole(self, entries: OutgoingEntries) -> Receipt | None:
        """Send all of them, for the receipt of the first; None where `send` must do it.

        What goes wrong before they are on their way is for `send` to say.
        """
        ...


async def send_whole(sender: RecordSender, entries: OutgoingEntries) -> Receipt | None:
    """See EntrySender; other senders send none of them."""
    if not _is_entry_sender(type(sender)):
        return None
    return await cast(EntrySender, sender).send_whole(entries)


@cache
def _is_entry_sender(kind: type) -> bool:
    # Asked of each object, a protocol takes longer than some entries do.
    return issubclass(kind, EntrySender)


async def write_entries(
    sender: RecordSender, changes: Iterable[OutgoingEntries]
) -> Sequence[Stretch]:
    """Send entries in their order; return when all are acknowledged. Others work between two.

    Raises what `send` and its receipts raise.
    """
    promised: list[tuple[Receipt, int]] = []
    for entries in changes:
        if promised:
            await asyncio.sleep(0)  # a sender that has room takes entries without a pause
        receipt = await send_whole(sender, entries)
        if receipt is not None:
            promised.append((receipt, len(entries.entries)))
        else:
            promised += [(await sender.send(record), 1) for record in entries.records()]
    return [_at(await receipt, count) for receipt, count in promised]


def _at(first: Acknowledgement, count: int) -> Stretch:
    return Stretch(first.topic, range(first.offset, first.offset + count))
