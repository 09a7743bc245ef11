"""One member of a subscription's consumer group: a Faust app whose partitions feed the lanes."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final, cast

import faust
import structlog
from yarl import URL

from streams.errors import InfrastructureError
from streams.kafka.errors import TRANSIENT
from streams.kafka.fetcher import KafkaFetcher
from streams.lane import Lanes
from streams.parking.lot import ParkingLot
from streams.parking.redoing import Redo, Redoing
from streams.partitioner import partition_of
from streams.records import TopicPartition
from streams.runtime.consumer import SESSION_S, LaneConsumer, LaneConsumerThread, LaneTransport
from streams.runtime.errors import RecoveryOverdue, WorkerFailed
from streams.runtime.feed import Feed
from streams.runtime.recovery import ServingTableManager
from streams.runtime.stores.opening import open_store
from streams.runtime.table_recovery import DEADLINE_S, RecoveryProgress, TableRecovery
from streams.runtime.tables import FaustTable
from streams.runtime.work_in_hand import WorkInHand
from streams.settings import KafkaSettings
from streams.table import Table
from streams.table_store import EntryStore, TableStore
from streams.workload import FaustSetup

REBALANCE_S: Final = 30.0
REQUEST_S: Final = 40.0
COMMIT_INTERVAL_S: Final = 1.0
TRY_AGAIN_S: Final = 0.5
"""The pause before an assignment is begun again whose broker was away."""

Rebuild = Callable[[Mapping[str, Table], Collection[int]], Awaitable[None]]
"""Builds these partitions of the tables anew."""

log = structlog.get_logger(__name__)


class _Boot(faust.app.BootStrategy):
    """Faust sends nothing here: all records go out by our own sender."""

    enable_kafka_producer = False
    enable_web = False


class _StockBoot(faust.app.BootStrategy):
    """Stock agents and tables send by Faust's producer."""

    enable_web = False


class _LaneApp(faust.App):
    BootStrategy: ClassVar[type[faust.app.BootStrategy]] = _Boot
    serve: Callable[[int], None]


class _StockApp(_LaneApp):
    BootStrategy = _StockBoot


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """How a member stands in its group: see WorkerSettings for what is optional."""

    kafka: KafkaSettings
    data_dir: Path
    instance: str | None = None
    store: TableStore = TableStore.MEMORY
    log_ids: Mapping[str, str] = field(default_factory=dict)
    recovery_deadline_s: float = DEADLINE_S
    rebuilds_tables: bool = False


class GroupMember:
    """Joins the group, recovers tables, has the assigned partitions read into lanes."""

    def __init__(
        self,
        group: str,
        membership: Membership,
        tables: Mapping[str, str],
        setups: Sequence[FaustSetup] = (),
    ) -> None:
        """`tables`: changelog topic by table name."""
        self._group = group
        self._membership = membership
        kafka, data_dir = membership.kafka, membership.data_dir
        kind = _StockApp if setups else _LaneApp
        self._app = kind(group, **_faust_settings(kafka, data_dir))
        url = [URL(f"kafka://{address.strip()}") for address in kafka.bootstrap.split(",")]
        self._transport = LaneTransport(url, self._app)
        self._transport.instance = membership.instance
        self._transport.changelogs = frozenset(tables.values())
        self._transport.stop_reading = self._stop_reading
        self._app.transport = self._transport
        self._app.producer_transport = self._transport
        self.tables: Mapping[str, FaustTable] = {
            name: FaustTable(self._app, name, changelog, self._store(changelog))
            for name, changelog in tables.items()
        }
        self._recovery = TableRecovery(self._fetcher, deadline_s=membership.recovery_deadline_s)
        self.lease = self._transport.lease
        self._app.serve = self._serve
        self._serving: asyncio.Task[None] | None = None
        self._rebuild: Rebuild | None = None
        self._rebuilt: set[int] = set()
        self._failure: BaseException | None = None
        for setup in setups:
            setup(self._app)

    def rebuild_by(self, rebuild: Rebuild) -> None:
        """What to do when a recovery is overdue; without it the member cannot go on then."""
        self._rebuild = rebuild

    def read_into(self, lanes: Lanes, topics: Sequence[str], lot: ParkingLot, redo: Redo) -> None:
        """Say what is read and where it goes, and who tries again; once, before `start`."""
        self._lanes = lanes
        self._feed = Feed(self._fetcher, lanes, self._fail)
        self._redoing = Redoing(lot, redo, self._fetcher, self._fail)
        self._redoing.keep_behind(self._finished, self._confirmed)
        self._transport.progress = WorkInHand(lanes, self._redoing)
        self._transport.topics = frozenset(topics)
        self._app.topics.add(self._app.topic(*topics, acks=False))

    @property
    def topics(self) -> frozenset[str]:
        """All topics that it needs, changelogs included."""
        return self._transport.topics | self._transport.changelogs

    @property
    def recovery(self) -> Sequence[RecoveryProgress]:
        """How far the tables of the present assignment are recovered."""
        return self._recovery.progress

    async def start(self) -> None:
        """Join the group and return once the tables of the first assignment are recovered."""
        self._membership.data_dir.mkdir(parents=True, exist_ok=True)
        await self._app.start()

    async def stop(self) -> None:
        """Drain, commit, leave the group."""
        await self._app.stop()
        for table in self.tables.values():
            table.close()

    def raise_failure(self) -> None:
        """Raise WorkerFailed when the member cannot go on."""
        try:
            self._lanes.raise_failure()
        except Exception as error:
            raise WorkerFailed(f"{self._group}: {error!r}") from error
        if self._failure is not None:
            raise WorkerFailed(f"{self._group}: {self._failure!r}") from self._failure
        if self._app.crashed:
            reason = self._app.crash_reason
            raise WorkerFailed(f"{self._group}: {reason!r}") from reason

    @property
    def is_ready(self) -> bool:
        """Whether a partition assignment is in force and its tables are recovered."""
        return bool(self._app.started) and not self._app.rebalancing and self._feed.is_open

    @property
    def generation(self) -> int:
        """The group's generation: another number after each rebalance."""
        return int(self._app.consumer_generation_id)

    def assigned(self) -> Collection[TopicPartition]:
        """The partitions that are ours, changelogs included."""
        if self._app._consumer is None or not self.is_ready:  # noqa: SLF001  # the property would make one
            return ()
        return sorted(TopicPartition(*tp) for tp in self._app.consumer.assignment())

    def committed(self) -> Mapping[TopicPartition, int]:
        """The offsets that the broker has confirmed."""
        return {
            source: offset
            for source in self.assigned()
            if (offset := self._consumer.confirmed(source)) is not None
        }

    @property
    def feed(self) -> Feed:
        """What reads the assigned partitions."""
        return self._feed

    @property
    def starts(self) -> Mapping[TopicPartition, int]:
        """Where the work on the partitions that are read has begun; empty in a rebalance."""
        return self._feed.starts

    def _finished(self, source: TopicPartition) -> int | None:
        """Below which offset all work on a partition is finished."""
        start, reached = self.starts.get(source), self._lanes.committable_of(source)
        return start if reached is None else reached

    def _confirmed(self, source: TopicPartition) -> int | None:
        """Below which offset nothing of a partition is read again."""
        return self._consumer.confirmed(source) or self.starts.get(source)

    async def read_up_to(self, source: TopicPartition) -> int | None:
        """The next offset that will be read; None while nobody reads the partition."""
        return await self._feed.read_up_to(source)

    def partition_of(self, key: str) -> int:
        """The partition that a key belongs to: the same in all topics, which have one count."""
        return partition_of(key.encode(), self._membership.kafka.partitions)

    def answer_at(self, url: str) -> None:
        """Where the pages of this worker are, for the other members; to be said before `start`."""
        self._app.conf.canonical_url = URL(url)

    def owner_of(self, changelog: str, partition: int) -> str | None:
        """Where the owner of a table's partition answers, as the group's leader has told all."""
        for url, topics in self._app.assignor.tables_metadata().items():
            if partition in topics.get(changelog, ()):
                return str(url)
        return None

    def _fail(self, error: BaseException) -> None:
        self._failure = error

    def _serve(self, generation: int) -> None:
        """An assignment has begun: recover its tables, then read from where its work begins."""
        if self._is_current(generation) and self._serving is None:
            self._serving = asyncio.create_task(self._begin(generation), name="begin assignment")

    def _stop_reading(self) -> None:
        """Partitions are asked back."""
        self._feed.close()
        self._recovery.abandon()
        if self._serving is not None:
            self._serving.cancel()
            self._serving = None

    async def _begin(self, generation: int) -> None:
        while self._is_current(generation):
            try:
                await self._recover()
                found = await cast(LaneConsumerThread, self._consumer._thread).starts()  # noqa: SLF001  # the only way to it
                starts = {TopicPartition(*tp): at for tp, at in found.items()}
                if self._is_current(generation):
                    await self._redoing.begin(starts)
            except (InfrastructureError, *TRANSIENT) as error:
                log.warning("an assignment waits", group=self._group, error=repr(error))
                await asyncio.sleep(TRY_AGAIN_S)
            except Exception as error:  # noqa: BLE001  # the worker's main loop raises it
                self._fail(error)
                return
            else:
                if self._is_current(generation):
                    self._feed.open(starts)
                return

    async def _recover(self) -> None:
        """Bring the tables back from their changelogs, or else from the archive."""
        partitions = self._table_partitions()
        if self._rebuild is not None and self._membership.rebuilds_tables:
            missing = partitions - self._rebuilt
            if missing:
                log.info("tables are rebuilt from the archive", group=self._group)
                await self._rebuild(self.tables, missing)
                self._rebuilt |= missing
            partitions -= missing
        try:
            await self._recovery.recover(self.tables, partitions)
        except RecoveryOverdue as error:
            if self._rebuild is None:
                raise
            log.error("tables are rebuilt from the archive", group=self._group, because=str(error))  # noqa: TRY400  # the reason is enough
            await self._rebuild(self.tables, partitions)

    def _table_partitions(self) -> frozenset[int]:
        """The partitions of tables that are assigned to this member."""
        changelogs = self._transport.changelogs
        assigned = self._consumer.assignment()
        return frozenset(tp.partition for tp in assigned if tp.topic in changelogs)

    def _fetcher(self) -> KafkaFetcher:
        return KafkaFetcher(self._membership.kafka)

    def _store(self, changelog: str) -> EntryStore:
        membership = self._membership
        folder = membership.data_dir / (membership.instance or "tables") / changelog
        return open_store(membership.store, folder, membership.log_ids.get(changelog, changelog))

    @property
    def _consumer(self) -> LaneConsumer:
        return cast(LaneConsumer, self._app.consumer)

    def _is_current(self, generation: int) -> bool:
        """Whether the partitions of this generation are ours, and not being asked back."""
        is_present = generation == self._app.consumer_generation_id
        return is_present and not self._consumer.has_given_up(generation)


def _faust_settings(kafka: KafkaSettings, data_dir: Path) -> dict[str, Any]:
    return {
        "broker": [f"kafka://{address.strip()}" for address in kafka.bootstrap.split(",")],
        "broker_client_id": kafka.client_id,
        "broker_session_timeout": SESSION_S,
        "broker_heartbeat_interval": SESSION_S / 3,
        "broker_rebalance_timeout": REBALANCE_S,
        "broker_request_timeout": REQUEST_S,
        "broker_commit_interval": COMMIT_INTERVAL_S,
        "consumer_auto_offset_reset": "earliest",
        "datadir": str(data_dir),
        "store": "memory://",
        "TableManager": ServingTableManager,
        # Calls our wait_empty before partitions are given up.
        "stream_wait_empty": True,
        "table_standby_replicas": 0,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "reply_create_topic": False,
        "web_enabled": False,
        "autodiscover": False,
    }
