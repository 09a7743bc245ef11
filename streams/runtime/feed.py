"""Reads the partitions of one assignment into the lanes.

Faust's consumer keeps the membership and the offsets; records are read here, by fetchers that are
made for an assignment and end with it. CRITICAL partitions have a fetcher of their own: a fetch of
theirs never waits behind a fetch of others.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import Final

import structlog

from schemas.envelope import Priority
from schemas.topics import priority_of
from streams.errors import InfrastructureError
from streams.lane import Lanes
from streams.log import PartitionFetcher
from streams.records import TopicPartition

FETCH_RECORDS: Final = 400
"""How many records are taken from the fetcher at once: they are made in one go."""

FETCH_S: Final = 1.0
"""How long to wait for records when all lanes have room."""

FETCH_BESIDE_FULL_S: Final = 0.01
"""How long to wait for records of some lanes before looking whether others have room again."""

CONNECT_AGAIN_S: Final = 0.5
"""The pause before a fetcher is replaced that has lost its broker."""

POSITION_S: Final = 1.0
"""How long a fetcher may take to say where it stands."""

log = structlog.get_logger(__name__)


class _Reading:
    """What is read for one assignment.

    Once it is over nothing is offered any more: a task may live on after its cancellation, because
    a library that it waits in may catch that.
    """

    def __init__(self, starts: Mapping[TopicPartition, int]) -> None:
        self.starts = starts
        self.is_over = False
        self.positions: list[dict[TopicPartition, int]] = []
        self.fetchers: dict[PartitionFetcher, Collection[TopicPartition]] = {}


class Feed:
    """Opened for each assignment with where its work begins, closed when partitions go."""

    def __init__(
        self,
        open_fetcher: Callable[[], PartitionFetcher],
        lanes: Lanes,
        on_failure: Callable[[BaseException], None],
    ) -> None:
        """`on_failure` is told what the worker cannot go on with."""
        self._open_fetcher = open_fetcher
        self._lanes = lanes
        self._on_failure = on_failure
        self._tasks: set[asyncio.Task[None]] = set()
        self._reading: _Reading | None = None

    def positions(self) -> Mapping[TopicPartition, int]:
        """The next offset to be fetched, of each partition that is read."""
        if self._reading is None:
            return {}
        return {source: at for part in self._reading.positions for source, at in part.items()}

    def known_ends(self) -> Mapping[TopicPartition, int]:
        """Where the partitions end, as the last fetches have told."""
        return {
            source: end
            for fetcher in self._fetchers
            for source, end in fetcher.known_ends().items()
        }

    async def ends(self, sources: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Where these partitions end, asked of the broker; those are left out that nobody reads.

        Raises BrokerUnavailable.
        """
        found: dict[TopicPartition, int] = {}
        for fetcher, read in tuple(self._fetchers.items()):
            asked = [source for source in sources if source in read]
            if asked:
                found.update(await fetcher.ends(asked))
        return found

    @property
    def _fetchers(self) -> Mapping[PartitionFetcher, Collection[TopicPartition]]:
        """Those of this assignment that are connected, with what they read."""
        return {} if self._reading is None else self._reading.fetchers

    @property
    def is_open(self) -> bool:
        """Whether records are taken."""
        return self._reading is not None

    def open(self, starts: Mapping[TopicPartition, int]) -> None:
        """Tables are recovered: take records from these offsets on."""
        self._reading = _Reading(starts)
        critical = {
            source: offset
            for source, offset in starts.items()
            if priority_of(source.topic) is Priority.CRITICAL
        }
        others = {source: offset for source, offset in starts.items() if source not in critical}
        self._reading.positions = [dict(part) for part in (critical, others) if part]
        for part in self._reading.positions:
            task = asyncio.create_task(self._run(self._reading, part), name="feed")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    @property
    def starts(self) -> Mapping[TopicPartition, int]:
        """Where the work of this assignment has begun; nothing while none is open."""
        return {} if self._reading is None else self._reading.starts

    async def read_up_to(self, source: TopicPartition) -> int | None:
        """The next offset to be read, past holes of the log; None while nobody reads it."""
        fetcher = next((it for it, read in self._fetchers.items() if source in read), None)
        if fetcher is None:
            return None
        try:
            async with asyncio.timeout(POSITION_S):
                return await fetcher.position(source)
        except (InfrastructureError, TimeoutError):
            return None

    def close(self) -> None:
        """Nothing is taken from now on."""
        if self._reading is not None:
            self._reading.is_over = True
            self._reading = None
        for task in self._tasks:
            task.cancel()

    async def _run(self, reading: "_Reading", positions: dict[TopicPartition, int]) -> None:
        """Read until closed; a fetcher that fails is replaced by one that goes on after it."""
        while not reading.is_over:
            try:
                await self._read(reading, positions)
            except InfrastructureError as error:
                log.warning("reading pauses", error=str(error))
                await asyncio.sleep(CONNECT_AGAIN_S)
            except Exception as error:  # noqa: BLE001  # the worker's main loop raises it
                self._on_failure(error)
                return

    async def _read(self, reading: "_Reading", positions: dict[TopicPartition, int]) -> None:
        fetcher = self._open_fetcher()
        try:
            await fetcher.start(positions)
            reading.fetchers[fetcher] = positions.keys()
            while True:
                ready = await self._lanes.with_room(positions)
                wait_s = FETCH_S if len(ready) == len(positions) else FETCH_BESIDE_FULL_S
                fetched = await fetcher.fetch(ready, FETCH_RECORDS, wait_s)
                if reading.is_over:
                    return
                for source, records in fetched.items():
                    self._lanes.offer(source, records)
                    positions[source] = records[-1].offset + 1
        finally:
            reading.fetchers.pop(fetcher, None)
            await fetcher.close()
