"""Faust's consumer with our progress: it commits what the lanes have finished, and nothing else.

Faust keeps the group membership and the assignment. Its own account of acknowledged messages is
not used: it commits past unfinished events, and takes a refused commit for done.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Protocol, cast

import structlog
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.records import TopicPartition
from streams.runtime.lease import Lease

SESSION_S: Final = 10.0
"""How long the group waits for a silent member before others get its partitions."""

LEASE_S: Final = SESSION_S - 1.0
"""Who sees the lease held has at least a second for what it does next."""

DRAIN_DEADLINE_S: Final = 5.0
"""How long partitions that are taken away may finish what is in work."""

COMMIT_DEADLINE_S: Final = 3.0
"""How long the last commit before partitions are given up may take."""

GOODBYE_DEADLINE_S: Final = 2.0
"""How long leaving the group may take."""

log = structlog.get_logger(__name__)


class Progress(Protocol):
    """What the consumer asks of the lanes."""

    def committable(self) -> Mapping[TopicPartition, int]:
        """The offsets that may be committed now."""
        ...

    async def drain(self, deadline_s: float) -> None:
        """Wait a bounded time until what was taken is finished."""
        ...

    async def close(self) -> None:
        """Stop all work and forget its progress."""
        ...


class _PausingListener(driver.ConsumerRebalanceListener):
    """Keeps Faust's consumer from fetching what the feed reads."""

    async def on_partitions_assigned(self, assigned: Iterable[Any]) -> None:
        consumer = self._thread._ensure_consumer()  # noqa: SLF001  # as Faust's own listener
        transport = cast(LaneTransport, self._thread.transport)
        ours = transport.topics | transport.changelogs
        consumer.pause(*(source for source in assigned if source.topic in ours))
        await super().on_partitions_assigned(assigned)


class LaneConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread that talks to the group's coordinator."""

    def _create_worker_consumer(self, transport: driver.Transport) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # Faust has no setting for static membership; the coordinator takes it at the start.
        consumer._group_instance_id = cast(LaneTransport, transport).instance  # noqa: SLF001  # see above
        client = consumer._client  # noqa: SLF001  # the way to the coordinator, no public one
        client.send = cast(LaneTransport, transport).lease.renewing(client.send)
        return consumer

    async def on_thread_stop(self) -> None:
        """Leave the group, for a bounded time and in any case: the main thread waits for our end.

        Without a broker aiokafka waits a minute for an answer, or lets the cancellation of one of
        its own tasks escape, which Faust takes for the end of the thread without telling anyone.
        """
        try:
            async with asyncio.timeout(GOODBYE_DEADLINE_S):
                await super().on_thread_stop()
        except (TimeoutError, asyncio.CancelledError) as error:
            log.warning("no broker to leave the group with", error=type(error).__name__)

    async def starts(self) -> Mapping[TP, int]:
        """Where the work on the lanes' partitions begins: committed, else the log's beginning."""
        found: Mapping[TP, int] = await self.call_thread(self._starts)
        return found

    async def _starts(self) -> Mapping[TP, int]:
        consumer = self._ensure_consumer()
        topics = cast(LaneTransport, self.transport).topics
        owned = [source for source in consumer.assignment() if source.topic in topics]
        committed = {source: await consumer.committed(source) for source in owned}
        unseen = [source for source, offset in committed.items() if offset is None]
        beginnings = await consumer.beginning_offsets(unseen) if unseen else {}
        return {TP(*source): offset for source, offset in {**committed, **beginnings}.items()}


class LaneConsumer(driver.Consumer):
    """Commits the lanes' watermarks; drains the lanes before it gives partitions up."""

    RebalanceListener = _PausingListener
    transport: "LaneTransport"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._given_up: int | None = None

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Nothing more is taken; what is in work is finished in `wait_empty`."""
        self._given_up = self.app.consumer_generation_id
        self.transport.stop_reading()
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """A new generation has begun; its tables are recovered next."""
        self._given_up = None
        await super().on_partitions_assigned(assigned, generation_id)

    def has_given_up(self, generation: int) -> bool:
        """Whether the partitions of this generation have been asked back."""
        return generation == self._given_up

    def _new_consumer_thread(self) -> LaneConsumerThread:
        return LaneConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        for source in self.transport.progress.committable():
            tp = TP(*source)
            if topics is None or tp in topics or tp.topic in topics:
                yield tp
        yield from super()._filter_tps_with_pending_acks(topics)

    def _new_offset(self, tp: TP) -> int | None:
        if tp.topic not in self.transport.topics:
            offset: int | None = super()._new_offset(tp)
            return offset
        return self.transport.progress.committable().get(TopicPartition(*tp))

    async def _commit_offsets(
        self,
        offsets: Mapping[TP, int],
        start_new_transaction: bool = True,  # noqa: FBT001, FBT002  # Faust's signature
    ) -> bool:
        assignment = self.assignment()
        owned = {tp: offset for tp, offset in offsets.items() if tp in assignment}
        if not owned or not await self._commit(owned):
            return False
        self._committed_offset.update(owned)
        self.app.monitor.on_tp_commit(owned)
        return True

    async def wait_empty(self) -> None:
        """Finish what is in work for a bounded time, commit it, then stop the lanes.

        Without the lease the work is others' already: the lanes stop at once.
        """
        self._given_up = self.app.consumer_generation_id
        self.transport.stop_reading()
        progress = self.transport.progress
        if not self.transport.lease.is_held:
            log.warning("partitions were lost before they were given up", session_s=SESSION_S)
            await progress.close()
            return
        await progress.drain(DRAIN_DEADLINE_S)
        if self._unacked_messages:
            await self._wait_for_stock_agents()
        finished = {TP(*source): offset for source, offset in progress.committable().items()}
        try:
            async with asyncio.timeout(COMMIT_DEADLINE_S):
                await self._commit_offsets(finished)
        except TimeoutError:
            log.warning(
                "offsets not committed, their events will be read again", partitions=len(finished)
            )
        await progress.close()

    async def _wait_for_stock_agents(self) -> None:
        try:
            async with asyncio.timeout(DRAIN_DEADLINE_S):
                await super().wait_empty()
        except TimeoutError:
            log.warning("stock agents not drained", unacknowledged=len(self._unacked_messages))

    def confirmed(self, source: TopicPartition) -> int | None:
        """The offset that the broker has confirmed for a partition."""
        return self._committed_offset.get(TP(*source))

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's detector of stalled streams looks at the bookkeeping that is not used."""


class LaneTransport(driver.Transport):
    """Faust's aiokafka transport with our consumer.

    All is set before the app starts. `topics` are those whose records go to lanes, `changelogs`
    those of projections; `stop_reading` is called before partitions are given up.
    """

    Consumer = LaneConsumer
    progress: Progress
    stop_reading: Callable[[], None]
    changelogs: frozenset[str] = frozenset()
    topics: frozenset[str] = frozenset()
    instance: str | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lease = Lease(LEASE_S)
