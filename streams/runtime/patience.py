"""A sender for workers: it waits for a broker that is away, since no event may be skipped."""

import structlog

from streams.attempts import Attempts
from streams.entry_sending import send_whole
from streams.log import RecordSender
from streams.receipt import Receipt
from streams.records import OutgoingEntries, OutgoingRecord

log = structlog.get_logger(__name__)


class PatientSender:
    """Implements RecordSender on another one; while it waits, `attempts.pause` says so."""

    def __init__(self, sender: RecordSender, attempts: Attempts) -> None:
        self._sender = sender
        self._attempts = attempts

    async def send(self, record: OutgoingRecord) -> Receipt:
        """Send once a broker takes the record. Raises what no waiting heals: RecordRefused."""
        try:
            return await self._sender.send(record)
        except Exception as error:  # noqa: BLE001  # judged by Attempts
            return await self._send_again(record, error)

    async def send_whole(self, entries: OutgoingEntries) -> Receipt | None:
        """See EntrySender."""
        try:
            return await send_whole(self._sender, entries)
        except Exception as error:  # noqa: BLE001  # an outage is met again by `send`, which waits
            log.info("to be sent one by one", topic=entries.topic, error=repr(error))
            return None

    async def _send_again(self, record: OutgoingRecord, error: Exception) -> Receipt:
        receipts: list[Receipt] = []

        async def attempt() -> None:
            receipts.append(await self._sender.send(record))

        failed = await self._attempts.after(error, attempt, waiting_for=f"topic {record.topic}")
        if failed is not None:
            raise failed.error
        return receipts[0]

    async def flush(self) -> None:
        """See RecordSender."""
        await self._sender.flush()

    async def close(self) -> None:
        """See RecordSender."""
        await self._sender.close()
