"""The outbox relay: appended events to Kafka, in order per aggregate, each at least once.

A shard is read from its beginning again and again: the first rows in the order of their positions
are sent, and deleted when Kafka has acknowledged them. No row is skipped because one behind it was
sent, so a transaction that commits late loses nothing. Repeats carry the same event id.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from connectors.backoff import delays, pause
from connectors.errors import ShardLost
from connectors.outbox import SHARDS, Outbox, OutboxRow, OwnedShard
from connectors.relay_status import RelayStatus, RelayStep, StepListener, alarms
from schemas.composition import WriterSchema
from schemas.framing import schema_id_of
from streams.errors import BrokerUnavailable, InfrastructureError, RecordRefused
from streams.log import RecordSender
from streams.metrics import MetricSource
from streams.writer_schemas import WriterSchemas

_log = structlog.get_logger(__name__)

_PATIENCE_S: Final = 5.0
"""How long a stop waits for the batches in work; what was not acknowledged stays in the outbox."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaySettings:
    """What a relay sends, and its bounds in seconds.

    The relay looks often instead of being notified: NOTIFY makes all commits of a server wait for
    each other.
    """

    shards: Sequence[int] = tuple(range(SHARDS))
    batch_rows: int = 500
    first_idle_s: float = 0.01
    longest_idle_s: float = 0.1
    renew_s: float = 1.0
    claim_s: float = 1.0
    watch_s: float = 2.0
    first_delay_s: float = 0.2
    longest_delay_s: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayEdges:
    """What a relay stands on, passed in. `sender` waits for as long as Kafka is away.

    `counted`: what counts beside the relay, to be shown with its numbers.
    """

    outbox: Outbox
    sender: RecordSender
    schemas: WriterSchemas
    counted: Sequence[MetricSource] = ()


class OutboxRelay:
    """Sends the shards that nobody else sends, and stands by for the others."""

    def __init__(
        self,
        edges: RelayEdges,
        settings: RelaySettings,
        on_step: StepListener = lambda _step: None,
    ) -> None:
        self.status = RelayStatus()
        self._edges = edges
        self._settings = settings
        self._on_step = on_step
        self._announced: set[int] = set()

    @property
    def counted(self) -> Sequence[MetricSource]:
        """What counts beside the relay."""
        return self._edges.counted

    @property
    def shards(self) -> Sequence[int]:
        """Those that it sends, or stands by for."""
        return self._settings.shards

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; batches in work are finished first, within five seconds.

        Raises DatabaseRefused, or another error that waiting does not mend.
        """
        work = [
            *(self._send_shard(shard, stop) for shard in self._settings.shards),
            self._watch(stop),
        ]
        tasks = {asyncio.create_task(it) for it in work}
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
            stop.set()
            await asyncio.wait(tasks, timeout=_PATIENCE_S)
        finally:
            for task in (*tasks, stopping):
                task.cancel()
            outcomes = await asyncio.gather(*tasks, stopping, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    async def _send_shard(self, shard: int, stop: asyncio.Event) -> None:
        waits = self._schedule()
        while not stop.is_set():
            try:
                owned = await self._edges.outbox.claim(shard)
                self.status.is_connected = True
                if owned is None:
                    self.status.waiting_for.pop(shard, None)
                    await pause(self._settings.claim_s, stop)
                    continue
                await self._send_owned(shard, owned, stop)
            except ShardLost as lost:
                self.status.taken_over += 1
                _log.warning("taken over, standing by", shard=lost.shard)
            except (InfrastructureError, RecordRefused) as error:
                self._wait_for(shard, error.code)
                delay = next(waits)
                _log.warning(
                    "waiting", shard=shard, code=error.code, reason=error.message, seconds=delay
                )
                await pause(delay, stop)
            else:
                waits = self._schedule()

    async def _send_owned(self, shard: int, owned: OwnedShard, stop: asyncio.Event) -> None:
        """Batches for as long as the shard is ours."""
        self.status.owned.add(shard)
        self.status.epochs[shard] = owned.epoch
        _log.info("sending a shard of the outbox", shard=shard)
        renewed = time.monotonic()
        idle = self._idle()
        try:
            while not stop.is_set():
                rows = await owned.unsent(self._settings.batch_rows)
                self.status.waiting_for.pop(shard, None)
                if rows:
                    await self._send_batch(shard, owned, rows)
                    idle = self._idle()
                else:
                    await pause(next(idle), stop)
                if time.monotonic() - renewed >= self._settings.renew_s:
                    await owned.renew()
                    renewed = time.monotonic()
        finally:
            self.status.owned.discard(shard)
            await owned.release()

    async def _send_batch(self, shard: int, owned: OwnedShard, rows: Sequence[OutboxRow]) -> None:
        self._on_step(RelayStep.READ)
        delivering = asyncio.create_task(self._deliver(rows))
        try:
            while not (await asyncio.wait({delivering}, timeout=self._settings.renew_s))[0]:
                self._wait_for(shard, BrokerUnavailable.code)
                await owned.renew()
            await delivering
        finally:
            delivering.cancel()
            await asyncio.gather(delivering, return_exceptions=True)
        self._on_step(RelayStep.ACKNOWLEDGED)
        await owned.remove(rows)
        self.status.sent += len(rows)
        self._on_step(RelayStep.REMOVED)

    async def _deliver(self, rows: Sequence[OutboxRow]) -> None:
        """Return when Kafka has acknowledged all rows, which were sent in order."""
        for schema_id in {schema_id_of(row.payload) for row in rows} - self._announced:
            schema = WriterSchema.from_json(await self._edges.outbox.schema(schema_id))
            await self._edges.schemas.announce(schema)
            self._announced.add(schema_id)
        receipts = [await self._edges.sender.send(row.record()) for row in rows]
        for receipt in receipts:
            await receipt

    async def _watch(self, stop: asyncio.Event) -> None:
        """Look at what holds events back; say when that begins to be alarming, and when it ends."""
        while not stop.is_set():
            try:
                self.status.delay = await self._edges.outbox.delay()
            except InfrastructureError as error:
                _log.warning("the outbox cannot be watched", code=error.code, reason=error.message)
            else:
                self._tell_alarms()
            await pause(self._settings.watch_s, stop)

    def _tell_alarms(self) -> None:
        before, now = self.status.alarms, alarms(self.status.delay)
        self.status.alarms = now
        ages = self.status.as_mapping()
        facts = {name: ages[name] for name in ("oldest_s", "holder_s", "horizon_s", "waiting")}
        for alarm in sorted(now - before):
            _log.error("outbox alarm", alarm=alarm, **facts)
        for alarm in sorted(before - now):
            _log.info("outbox alarm is over", alarm=alarm, **facts)

    def _wait_for(self, shard: int, code: str) -> None:
        if shard not in self.status.waiting_for:
            self.status.interruptions += 1
        self.status.waiting_for[shard] = code

    def _idle(self) -> Iterator[float]:
        return delays(self._settings.first_idle_s, self._settings.longest_idle_s)

    def _schedule(self) -> Iterator[float]:
        return delays(self._settings.first_delay_s, self._settings.longest_delay_s)
