"""One member of a subscription's consumer group: a Faust app whose partitions feed the lanes."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, cast

import faust
import structlog
from yarl import URL

from streams.kafka.errors import TRANSIENT
from streams.kafka.fetcher import KafkaFetcher
from streams.lane import Lanes
from streams.records import TopicPartition
from streams.runtime.consumer import SESSION_S, LaneConsumer, LaneConsumerThread, LaneTransport
from streams.runtime.errors import WorkerFailed
from streams.runtime.feed import Feed
from streams.runtime.recovery import ServingTableManager
from streams.runtime.tables import FaustTable, ProjectionTable
from streams.settings import KafkaSettings
from streams.workload import FaustSetup

REBALANCE_S: Final = 30.0
REQUEST_S: Final = 40.0
COMMIT_INTERVAL_S: Final = 1.0
ASK_AGAIN_S: Final = 0.5
"""The pause before the group is asked again where the work begins."""

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
    serve: Callable[[int], Awaitable[None]]


class _StockApp(_LaneApp):
    BootStrategy = _StockBoot


class GroupMember:
    """Joins the group, recovers tables, has the assigned partitions read into lanes."""

    def __init__(
        self,
        group: str,
        kafka: KafkaSettings,
        data_dir: Path,
        tables: Mapping[str, str],
        *,
        instance: str | None = None,
        setups: Sequence[FaustSetup] = (),
    ) -> None:
        """`tables`: changelog topic by table name. See WorkerSettings for `instance`."""
        self._group = group
        self._kafka = kafka
        self._data_dir = data_dir
        kind = _StockApp if setups else _LaneApp
        self._app = kind(group, **_faust_settings(kafka, data_dir))
        url = [URL(f"kafka://{address.strip()}") for address in kafka.bootstrap.split(",")]
        self._transport = LaneTransport(url, self._app)
        self._app.transport = self._transport
        self._app.producer_transport = self._transport
        self.tables: Mapping[str, FaustTable] = {
            name: FaustTable(self._app, name, changelog) for name, changelog in tables.items()
        }
        self.lease = self._transport.lease
        self._transport.instance = instance
        self._app.serve = self._serve
        self._failure: BaseException | None = None
        for setup in setups:
            setup(self._app)

    def read_into(self, lanes: Lanes, topics: Sequence[str]) -> None:
        """Say what is read and where it goes; once, before `start`."""
        self._lanes = lanes
        self._feed = Feed(lambda: KafkaFetcher(self._kafka), lanes, self._fail)
        self._transport.progress = lanes
        self._transport.feed = self._feed
        self._transport.topics = frozenset(topics)
        self._app.topics.add(self._app.topic(*topics, acks=False))

    @property
    def topics(self) -> frozenset[str]:
        """All topics that it needs, changelogs included."""
        return self._transport.topics | {table.changelog for table in self.tables.values()}

    async def start(self) -> None:
        """Join the group and return once the tables of the first assignment are recovered."""
        self._data_dir.mkdir(parents=True, exist_ok=True)
        await self._app.start()

    async def stop(self) -> None:
        """Drain, commit, leave the group."""
        await self._app.stop()

    def raise_failure(self) -> None:
        """Raise WorkerFailed when the member cannot go on."""
        self._lanes.raise_failure()
        if self._failure is not None:
            raise WorkerFailed(f"{self._group}: {self._failure!r}") from self._failure
        if self._app.crashed:
            reason = self._app.crash_reason
            raise WorkerFailed(f"{self._group}: {reason!r}") from reason

    @property
    def is_ready(self) -> bool:
        """Whether a partition assignment is in force and its tables are recovered."""
        return (
            bool(self._app.started and self._app.tables.actives_ready)
            and not self._app.rebalancing
            and self._feed.is_open
        )

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
        consumer = cast(LaneConsumer, self._app.consumer)
        return {
            source: offset
            for source in self.assigned()
            if (offset := consumer.confirmed(source)) is not None
        }

    def partition_of(self, topic: str, key: str) -> int:
        """The partition that a key of this topic belongs to."""
        partition = self._app.consumer.key_partition(topic, key.encode())
        assert isinstance(partition, int)
        return partition

    def _fail(self, error: BaseException) -> None:
        self._failure = error

    async def _serve(self, generation: int) -> None:
        """The tables of this generation are recovered: read from where its work begins."""
        consumer = cast(LaneConsumer, self._app.consumer)
        while self._is_current(generation):
            try:
                starts = await cast(LaneConsumerThread, consumer._thread).starts()  # noqa: SLF001  # the only way to it
            except TRANSIENT as error:
                log.warning("the group does not say where to begin", error=repr(error))
                await asyncio.sleep(ASK_AGAIN_S)
                continue
            if self._is_current(generation) and not self._feed.is_open:
                self._feed.open({TopicPartition(*tp): offset for tp, offset in starts.items()})
            return

    def _is_current(self, generation: int) -> bool:
        """Whether the partitions of this generation are ours, and not being asked back."""
        consumer = cast(LaneConsumer, self._app.consumer)
        return generation == self._app.consumer_generation_id and not consumer.has_given_up(
            generation
        )


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
        "Table": ProjectionTable,
        # Calls our wait_empty before partitions are given up.
        "stream_wait_empty": True,
        "table_standby_replicas": 0,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "reply_create_topic": False,
        "web_enabled": False,
        "autodiscover": False,
    }
