"""The store sink: `store.events` into a database, each event once.

Rows and offsets change in one transaction, which the claim on the partition guards; Kafka's own
offsets follow for tools that show lag. A record that is no event becomes a dead letter, confirmed
before the offset moves. While Kafka or the database is away the sink waits, and loses nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

import structlog

from connectors.backoff import delays, pause, until_available
from connectors.claimed_partitions import ClaimedPartitions
from connectors.errors import Fenced, VersionTaken
from connectors.settings import SinkSettings
from connectors.sink_batch import SinkBatch
from connectors.sink_reading import ReadRecords, Refused, SinkReading
from connectors.sink_status import SinkStatus, SinkStep, StepListener
from connectors.sink_target import Claim, SinkTarget
from schemas.errors import WundrError
from streams.dead_letter import Failure, dead_letter
from streams.errors import InfrastructureError
from streams.log import AssignmentListener, GroupReader, RecordSender
from streams.metrics import MetricSource
from streams.records import RawRecord, TopicPartition

_log = structlog.get_logger(__name__)

HANDLER: Final = "store"

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkEdges:
    """What a sink stands on, passed in. `readers` makes a member of the sink's consumer group.

    `counted`: what counts beside the sink, to be shown with its numbers.
    """

    readers: Callable[[AssignmentListener], GroupReader]
    sender: RecordSender
    target: SinkTarget
    reading: SinkReading
    clock: Callable[[], datetime]
    counted: Sequence[MetricSource] = ()


class _Ahead(NamedTuple):
    """What was read while the batch before it was stored, and in which assignment."""

    generation: int
    read: Mapping[TopicPartition, Sequence[RawRecord]]
    made: ReadRecords


class StoreSink:
    """Stores what the platform archived. Several may run: a partition has one owner at a time."""

    def __init__(
        self,
        edges: SinkEdges,
        *,
        topic_id: str,
        settings: SinkSettings,
        on_step: StepListener = lambda _step: None,
    ) -> None:
        """`topic_id` is Kafka's id of `store.events`: it tells one Kafka from another."""
        self.status = SinkStatus()
        self._edges = edges
        self._topic_id = topic_id
        self._settings = settings
        self._on_step = on_step

    @property
    def counted(self) -> Sequence[MetricSource]:
        """What counts beside the sink."""
        return self._edges.counted

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; the batch in work is finished first.

        Raises ForeignCluster or DatabaseRefused; what is merely away is waited for.
        """
        waits = self._schedule()
        while not stop.is_set():
            try:
                await self._work_as_member(stop)
                waits = self._schedule()
            except Fenced as error:
                self.status.fenced += 1
                waits = self._schedule()
                _log.warning("taken over, joining again", partitions=error.partitions)
            except InfrastructureError as error:
                self._wait_for(error.code)
                delay = next(waits)
                _log.warning("waiting", code=error.code, reason=error.message, seconds=delay)
                await pause(delay, stop)

    async def _work_as_member(self, stop: asyncio.Event) -> None:
        """One membership of the group: join, then batches until `stop`; always leaves."""
        await self._available(partial(self._edges.target.claim, self._topic_id, ()), stop)
        claimed = ClaimedPartitions(
            self._settings.topic,
            lambda partitions: self._claim(partitions, stop),
            revoke_patience_s=self._settings.revoke_patience_s,
        )
        async with AsyncExitStack() as leaving:
            reader = self._edges.readers(claimed)
            leaving.push_async_callback(reader.close)
            await reader.start()
            self.status.known_ends = reader.known_ends
            self._done(SinkStep.JOINED)
            ahead: _Ahead | None = None
            while not stop.is_set():
                ahead = await self._one_turn(reader, claimed, ahead, stop)

    async def _claim(self, partitions: Iterable[int], stop: asyncio.Event) -> Mapping[int, Claim]:
        wanted = tuple(partitions)
        claims = await self._available(
            partial(self._edges.target.claim, self._topic_id, wanted), stop
        )
        self.status.claimed = {at: claim.next for at, claim in (claims or {}).items()}
        self._done(SinkStep.CLAIMED)
        return claims or {}

    async def _one_turn(
        self,
        reader: GroupReader,
        claimed: ClaimedPartitions,
        ahead: "_Ahead | None",
        stop: asyncio.Event,
    ) -> "_Ahead | None":
        """Store what was read ahead, and read meanwhile what is stored in the next turn."""
        if not await claimed.settled(self._settings.read_timeout_s):
            return None
        async with claimed.working:
            generation = claimed.generation
            if ahead is not None and ahead.generation != generation:
                # It was read before the new assignment, which reads it again where it is ours.
                ahead = None
            reading = asyncio.create_task(self._read_ahead(reader, generation, stop))
            try:
                if ahead is not None:
                    await self._store_ahead(reader, claimed, ahead, stop)
                following = await reading
                self._wait_for(None)
            finally:
                await _ended(reading)
            if claimed.generation != generation:
                # The rebalance did not wait: what was read may lie in front of what was claimed.
                raise Fenced(claimed.snapshot())
        return following

    async def _read_ahead(
        self, reader: GroupReader, generation: int, stop: asyncio.Event
    ) -> "_Ahead | None":
        read = await reader.read(
            self._settings.batch_records,
            self._settings.read_timeout_s,
            shares=self._settings.writers,
        )
        records = [record for found in read.values() for record in found]
        if not records:
            return None
        self._done(SinkStep.READ)
        made = await self._available(partial(self._edges.reading.read, records), stop)
        return None if made is None else _Ahead(generation, read, made)

    async def _store_ahead(
        self,
        reader: GroupReader,
        claimed: ClaimedPartitions,
        ahead: "_Ahead",
        stop: asyncio.Event,
    ) -> None:
        batch = SinkBatch.of(ahead.read, claimed.snapshot())
        if not batch.records:
            return
        self.status.batches.observe(len(batch.records))
        parts = batch.parts(self._settings.writers)
        results = await asyncio.gather(
            *(self._store_part(claimed, part, ahead.made, stop) for part in parts),
            return_exceptions=True,
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result
        if all(results):
            self._done(SinkStep.STORED)
            await self._commit(reader, batch)

    async def _store_part(
        self,
        claimed: ClaimedPartitions,
        part: SinkBatch,
        made: ReadRecords,
        stop: asyncio.Event,
    ) -> bool:
        """Bury what is no event and store the rest; False when stopped before that was done."""
        read = made.of(part.records)
        while True:
            if await self._available(partial(self._bury, read.refused), stop) is None:
                return False
            rows = part.to_store(read.rows)
            try:
                stored = await self._available(
                    partial(self._edges.target.store, self._topic_id, rows), stop
                )
            except VersionTaken as error:
                read = read.refusing(error)
                continue
            if stored is None:
                return False
            self.status.stored += stored.new
            self.status.repeated += stored.repeated
            claimed.advance(part.claims, part.next)
            self.status.next.update(part.next)
            return True

    async def _bury(self, refused: Sequence[Refused]) -> int:
        """Dead letters, all acknowledged when this returns; a second try may repeat some."""
        receipts = [
            await self._edges.sender.send(
                dead_letter(
                    refusal.record,
                    Failure(
                        app=self._settings.app,
                        group=self._settings.group,
                        handler=HANDLER,
                        error=refusal.error,
                        tries=1,
                    ),
                    self._edges.clock(),
                )
            )
            for refusal in refused
        ]
        for receipt in receipts:
            await receipt
        if receipts:
            self.status.dead_letters += len(receipts)
            self._done(SinkStep.DEAD_LETTERED)
        return len(receipts)

    async def _commit(self, reader: GroupReader, batch: SinkBatch) -> None:
        """Tell Kafka, for tools that show lag: the database alone decides where work goes on."""
        try:
            await reader.commit(
                {
                    TopicPartition(self._settings.topic, at): following
                    for at, following in batch.next.items()
                }
            )
        except WundrError as error:
            _log.info("Kafka keeps an older offset", code=error.code, reason=error.message)
        else:
            self._done(SinkStep.COMMITTED)

    async def _available(
        self, attempt: Callable[[], Awaitable[Result]], stop: asyncio.Event
    ) -> Result | None:
        return await until_available(
            attempt, schedule=self._schedule(), stop=stop, waiting=self._wait_for
        )

    def _schedule(self) -> Iterator[float]:
        return delays(self._settings.first_delay_s, self._settings.longest_delay_s)

    def _wait_for(self, code: str | None) -> None:
        if code is not None and self.status.waiting_for is None:
            self.status.interruptions += 1
        self.status.waiting_for = code

    def _done(self, step: SinkStep) -> None:
        self.status.step = step
        self._on_step(step)


async def _ended(task: asyncio.Task[Any]) -> None:
    """Cancel a task that is still at work, and wait until it has let go.

    What it raised then is left: the error that ended the turn is on its way.
    """
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
    if not task.cancelled():
        task.exception()
