"""Keeps the shared log filled from the broadcast topics and wakes the clients that follow it.

Guarantees: the log holds the retained past before the first client is let in; a broker that goes
away pauses the feed, which goes on by itself.
"""

import asyncio
from collections.abc import Iterable, Mapping

import structlog

from gateway.broadcast import read_broadcast
from gateway.broadcast_log import BroadcastLog, caught_up, history_starts
from gateway.errors import HistoryUnavailable, NotABroadcast
from gateway.settings import GatewaySettings
from schemas.errors import WundrError
from streams.log import RecordReader
from streams.records import RawRecord

_LOG = structlog.get_logger(__name__)
_READ_RECORDS = 2_000
_RETRY_S = 1.0


class BroadcastFeed:
    """Reads all broadcast partitions without a group. `epochs` gives each topic's id."""

    def __init__(
        self, settings: GatewaySettings, reader: RecordReader, epochs: Mapping[str, str]
    ) -> None:
        self.epochs = dict(epochs)
        self.log = BroadcastLog(
            {}, max_records=settings.history_records, max_bytes=settings.history_bytes
        )
        self.unreadable = 0
        self._paused: str | None = None
        self._settings = settings
        self._reader = reader
        self._followers: set[asyncio.Event] = set()

    def attach(self, wake: asyncio.Event) -> None:
        """Set this event whenever the log has grown."""
        self._followers.add(wake)

    def detach(self, wake: asyncio.Event) -> None:
        """Do not set it any more."""
        self._followers.discard(wake)

    def not_ready(self) -> str | None:
        """Why nothing new comes; None while the broker answers."""
        return None if self._paused is None else f"reading pauses: {self._paused}"

    async def load(self) -> None:
        """Read the retained past. Raises HistoryUnavailable, and what the reader raises."""
        await self._reader.start()
        try:
            async with asyncio.timeout(self._settings.history_deadline_s):
                await self._load_history()
        except TimeoutError as error:
            raise HistoryUnavailable from error
        _LOG.info("history_loaded", broadcasts=len(self.log), bytes=self.log.size_bytes)

    async def follow(self) -> None:
        """Read on until cancelled. Raises what is not retryable."""
        while True:
            try:
                await self._read_once()
                self._paused = None
            except WundrError as error:
                if not error.retryable:
                    raise
                self._paused = error.code
                _LOG.warning("read_paused", code=error.code, reason=error.message)
                await asyncio.sleep(_RETRY_S)

    async def close(self) -> None:
        """Let go of the reader."""
        await self._reader.close()

    async def _load_history(self) -> None:
        beginning, end = await self._reader.beginning(), await self._reader.end()
        starts = history_starts(beginning, end, self._settings.history_records)
        for source, offset in starts.items():
            self._reader.seek(source, offset)
        self.log = BroadcastLog(
            starts,
            max_records=self._settings.history_records,
            max_bytes=self._settings.history_bytes,
        )
        while not caught_up(self.log, end):
            await self._read_once()

    async def _read_once(self) -> None:
        batches = await self._reader.read(max_records=_READ_RECORDS)
        # Partitions are taken in together by time: the log lets go of what arrived first.
        records = [record for batch in batches.values() for record in batch]
        if records:
            self._take_in(sorted(records, key=lambda record: record.timestamp_ms))

    def _take_in(self, records: Iterable[RawRecord]) -> None:
        for record in records:
            try:
                self.log.append(read_broadcast(record, self.epochs[record.topic]))
            except NotABroadcast as error:
                self.unreadable += 1
                self.log.pass_over(record.source, record.offset)
                _LOG.warning("record_passed_over", code=error.code, reason=error.message)
        for wake in self._followers:
            wake.set()
