"""One member of a subscription's consumer group: a Faust app that feeds the lanes."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, cast

import faust
import structlog
from faust.types import TP
from yarl import URL

from streams.kafka.errors import PartitionNotAssigned
from streams.lane import Lanes
from streams.records import RawRecord, TopicPartition
from streams.runtime.consumer import SESSION_S, LaneConsumer, LaneTransport
from streams.runtime.errors import WorkerFailed
from streams.runtime.intake import Verdict
from streams.runtime.recovery import ServingTableManager
from streams.runtime.tables import FaustTable, ProjectionTable
from streams.settings import KafkaSettings

REBALANCE_S: Final = 30.0
REQUEST_S: Final = 40.0
COMMIT_INTERVAL_S: Final = 1.0
BUFFERED_RECORDS: Final = 1_000

log = structlog.get_logger(__name__)


class _Boot(faust.app.BootStrategy):
    """Faust sends nothing here: all records go out by our own sender."""

    enable_kafka_producer = False
    enable_web = False


class _FaustApp(faust.App):
    BootStrategy = _Boot
    serve: Callable[[int], Awaitable[None]]


class GroupMember:
    """Joins the group, recovers tables, pumps records of assigned partitions into lanes."""

    def __init__(
        self, group: str, kafka: KafkaSettings, data_dir: Path, tables: Mapping[str, str]
    ) -> None:
        """`tables`: changelog topic by table name."""
        self._group = group
        self._data_dir = data_dir
        self._app = _FaustApp(group, **_faust_settings(kafka, data_dir))
        url = [URL(f"kafka://{address.strip()}") for address in kafka.bootstrap.split(",")]
        self._transport = LaneTransport(url, self._app)
        self._app.transport = self._transport
        self._app.producer_transport = self._transport
        self.tables: Mapping[str, FaustTable] = {
            name: FaustTable(self._app, name, changelog) for name, changelog in tables.items()
        }
        self._intake = self._transport.intake
        self.lease = self._transport.lease
        self._app.serve = self._serve
        self._failure: BaseException | None = None

    def pump(self, topics: Sequence[str], lanes: Lanes) -> None:
        """Say where records come from and go to; once, before `start`."""
        self._transport.progress = lanes
        self._lanes = lanes
        channel = self._app.topic(
            *topics,
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
            # No acks: Faust would keep a second, wrong account of what is finished.
            acks=False,
            allow_empty=True,
        )

        async def pump(stream: Any) -> None:
            async for event in stream.events():
                await self._take(event.message)

        self._app.agent(channel, name="pump")(pump)

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
            and self._intake.is_open
        )

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

    async def _take(self, message: Any) -> None:
        """Hand a record to its lane when it is the next of its partition.

        Nothing is awaited between the intake's verdict and the lane's own note of the offset.
        """
        record = _raw_record(message)
        try:
            match self._intake.judge(record.source, record.offset):
                case Verdict.TAKE:
                    await self._lanes.offer(record)
                case Verdict.READ_AGAIN:
                    log.info("reading again", record=str(record.origin), group=self._group)
                    await self._read_again(record.source)
                case Verdict.LEAVE:
                    return
        except Exception as error:  # noqa: BLE001  # Faust would skip the event; we must stop
            self._failure = error
            await asyncio.Event().wait()

    async def _serve(self, generation: int) -> None:
        """Take records of this generation from now on, from where their work begins.

        Records that came before are read again.
        """
        consumer = cast(LaneConsumer, self._app.consumer)
        if generation != self._app.consumer_generation_id or consumer.has_given_up(generation):
            return
        assignment = self._intake.assignment
        starts = await consumer.seek_to_committed()
        if assignment != self._intake.assignment:
            return
        for source in self._intake.open(
            {TopicPartition(*tp): offset for tp, offset in starts.items()}
        ):
            await self._read_again(source)

    async def _read_again(self, source: TopicPartition) -> None:
        """Seek to the next record that is wanted, unless the partition is being given up."""
        offset = self._intake.next_offset(source)
        if offset is None:
            return
        with suppress(PartitionNotAssigned):
            await self._app.consumer.seek(TP(*source), offset)
            self._intake.asked(source)


def _raw_record(message: Any) -> RawRecord:
    return RawRecord(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        timestamp_ms=round(message.timestamp * 1000),
        key=message.key,
        value=message.value,
        headers=tuple(message.headers or ()),
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
        "stream_buffer_maxsize": BUFFERED_RECORDS,
        # Calls our wait_empty before partitions are given up.
        "stream_wait_empty": True,
        "table_standby_replicas": 0,
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "reply_create_topic": False,
        "web_enabled": False,
        "autodiscover": False,
    }
