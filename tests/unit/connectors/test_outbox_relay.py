from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from connectors.errors import DatabaseRefused, DatabaseUnavailable, ShardLost
from connectors.outbox import Delay, OutboxRow, OwnedShard
from connectors.outbox_relay import OutboxRelay, RelayEdges, RelaySettings
from connectors.relay_status import Alarm, RelayStep, alarms
from schemas.codec import Codec
from schemas.event import Event
from schemas.headers import traceparent
from schemas.topics import SCHEMAS_TOPIC
from streams.errors import BrokerUnavailable, RecordRefused
from streams.memory.log import MemoryLog, MemorySender
from streams.memory.schemas import MemoryWriterSchemas
from streams.publisher import event_record
from streams.receipt import Receipt
from streams.records import OutgoingRecord
from tests.contracts.accounts import CATALOG, credited

CODEC = Codec(CATALOG)
SETTINGS = RelaySettings(
    shards=(0,),
    batch_rows=4,
    first_idle_s=0.001,
    longest_idle_s=0.001,
    renew_s=0.01,
    claim_s=0.001,
    watch_s=0.001,
    first_delay_s=0.001,
    longest_delay_s=0.001,
)


@dataclass
class MemoryOutbox:
    """An outbox of one shard; `troubles` are raised, one by one, by whoever asks next."""

    rows: list[OutboxRow] = field(default_factory=list)
    held_by_another: bool = False
    seen: Delay = field(default_factory=Delay)
    troubles: list[Exception] = field(default_factory=list)
    renewals: int = 0
    claims: int = 0

    def put(self, *events: Event[object]) -> None:
        for event in events:
            self.rows.append(
                OutboxRow(
                    position=len(self.rows) + 1,
                    id=event.id,
                    type=event.type,
                    payload=CODEC.encode(event),
                    topic=event.topic,
                    key=event.key,
                    traceparent=traceparent(event),
                )
            )

    async def claim(self, shard: int) -> OwnedShard | None:
        if self.held_by_another:
            return None
        self.claims += 1
        return MemoryShard(self)

    async def schema(self, schema_id: int) -> str:
        return CATALOG.schema_ids()[schema_id].composed_json

    async def delay(self) -> Delay:
        return self.seen


@dataclass
class MemoryShard:
    """Implements OwnedShard."""

    outbox: MemoryOutbox
    epoch: int = 1

    async def unsent(self, limit: int) -> Sequence[OutboxRow]:
        self._trouble()
        return sorted(self.outbox.rows)[:limit]

    async def remove(self, rows: Sequence[OutboxRow]) -> None:
        self._trouble()
        self.outbox.rows = [row for row in self.outbox.rows if row not in rows]

    async def renew(self) -> None:
        self.outbox.renewals += 1

    async def release(self) -> None:
        return

    def _trouble(self) -> None:
        if self.outbox.troubles:
            raise self.outbox.troubles.pop(0)


class SlowSender(MemorySender):
    """Acknowledges nothing until it is told."""

    def __init__(self, log: MemoryLog) -> None:
        super().__init__(log)
        self.acknowledging = asyncio.Event()
        self.refusals: list[Exception] = []

    async def send(self, record: OutgoingRecord) -> Receipt:
        if self.refusals:
            raise self.refusals.pop(0)
        await self.acknowledging.wait()
        return await super().send(record)


@dataclass
class Bench:
    """A relay between an outbox and a log, both in memory."""

    log: MemoryLog = field(default_factory=MemoryLog)
    outbox: MemoryOutbox = field(default_factory=MemoryOutbox)
    steps: list[RelayStep] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.sender = SlowSender(self.log)
        self.sender.acknowledging.set()

    def relay(self) -> OutboxRelay:
        edges = RelayEdges(
            outbox=self.outbox,
            sender=self.sender,
            schemas=MemoryWriterSchemas(self.log, CODEC, wait_s=0),
        )
        return OutboxRelay(edges, SETTINGS, self.steps.append)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[OutboxRelay]:
        stop, relay = asyncio.Event(), self.relay()
        task = asyncio.create_task(relay.run(stop))
        try:
            yield relay
        finally:
            stop.set()
            await task

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110  # the parts in memory have no other signal
                await asyncio.sleep(0)

    def ids(self) -> list[str]:
        return [CODEC.view(it.value or b"").id for it in self.log.topic("events.domain.high")]


def events(count: int, account: str = "a") -> list[Event[object]]:
    return [credited(account, number) for number in range(count)]


async def test_rows_are_sent_in_order_in_batches_and_removed_when_acknowledged() -> None:
    bench, put = Bench(), events(10)
    bench.outbox.put(*put)
    async with bench.running() as relay:
        await bench.until(lambda: relay.status.sent == 10)
    assert bench.ids() == [event.id for event in put]
    assert bench.outbox.rows == []
    assert bench.steps == [RelayStep.READ, RelayStep.ACKNOWLEDGED, RelayStep.REMOVED] * 3


async def test_a_record_is_that_of_publish() -> None:
    bench, [event] = Bench(), events(1)
    bench.outbox.put(event)
    assert bench.outbox.rows[0].record() == event_record(event, CODEC.encode(event))


async def test_a_row_that_shows_up_late_is_sent_though_later_ones_were() -> None:
    bench, put = Bench(), events(3)
    bench.outbox.put(*put)
    late = bench.outbox.rows.pop(0)
    async with bench.running() as relay:
        await bench.until(lambda: relay.status.sent == 2)
        bench.outbox.rows.append(late)
        await bench.until(lambda: relay.status.sent == 3)
    assert bench.ids() == [put[1].id, put[2].id, put[0].id]


async def test_a_schema_is_announced_once_before_the_first_record() -> None:
    bench = Bench()
    bench.outbox.put(*events(6))
    async with bench.running() as relay:
        await bench.until(lambda: relay.status.sent == 6)
    assert len(bench.log.topic(SCHEMAS_TOPIC)) == 1


async def test_an_owner_that_waits_for_kafka_says_that_it_is_alive_and_what_it_waits_for() -> None:
    bench = Bench()
    bench.sender.acknowledging.clear()
    bench.outbox.put(*events(2))
    async with bench.running() as relay:
        await bench.until(lambda: bench.outbox.renewals > 2)
        assert relay.status.as_mapping()["waiting_for"] == {"0": BrokerUnavailable.code}
        bench.sender.acknowledging.set()
        await bench.until(lambda: relay.status.sent == 2)
        await bench.until(lambda: not relay.status.waiting_for)
        assert relay.status.interruptions == 1


@pytest.mark.parametrize("trouble", [DatabaseUnavailable(), ShardLost(0)])
async def test_after_a_lost_shard_or_database_it_is_claimed_anew_and_repeats_at_most_a_batch(
    trouble: Exception,
) -> None:
    bench, put = Bench(), events(6)
    bench.outbox.put(*put)
    async with bench.running() as relay:
        await bench.until(lambda: relay.status.sent >= 2)
        bench.outbox.troubles.append(trouble)
        bench.outbox.put(*events(4, "b"))
        await bench.until(lambda: not bench.outbox.rows)
    assert list(dict.fromkeys(bench.ids()))[:6] == [event.id for event in put]
    assert bench.outbox.claims == 2
    assert len(bench.ids()) - 10 <= SETTINGS.batch_rows


@pytest.mark.parametrize("refusal", [BrokerUnavailable(), RecordRefused("too large")])
async def test_what_kafka_does_not_take_stays_and_is_tried_again(refusal: Exception) -> None:
    bench = Bench()
    bench.outbox.put(*events(2))
    bench.sender.refusals.append(refusal)
    async with bench.running() as relay:
        await bench.until(lambda: relay.status.sent == 2)
        assert relay.status.interruptions == 1
    assert len(bench.ids()) == 2


async def test_a_second_relay_stands_by_until_the_shard_is_free() -> None:
    bench = Bench()
    bench.outbox.put(*events(1))
    bench.outbox.held_by_another = True
    async with bench.running() as relay:
        await asyncio.sleep(0)
        assert relay.status.as_mapping()["owned"] == []
        bench.outbox.held_by_another = False
        await bench.until(lambda: relay.status.sent == 1)
        assert relay.status.owned == {0}


async def test_what_waiting_does_not_mend_ends_the_relay() -> None:
    bench = Bench()
    bench.outbox.troubles.append(DatabaseRefused("no right"))
    with pytest.raises(DatabaseRefused, match="no right"):
        await bench.relay().run(asyncio.Event())


async def test_an_old_row_is_an_alarm_until_it_is_gone() -> None:
    bench = Bench()
    async with bench.running() as relay:
        bench.outbox.seen = Delay(oldest_s=31, holder_s=40, waiting=3)
        await bench.until(lambda: len(relay.status.alarms) == 2)
        assert relay.status.as_mapping()["alarms"] == sorted([Alarm.OLD_ROWS, Alarm.HELD_BACK])
        bench.outbox.seen = Delay()
        await bench.until(lambda: not relay.status.alarms)


def test_alarms_name_what_is_older_than_thirty_seconds() -> None:
    assert alarms(Delay(oldest_s=30, holder_s=29, horizon_s=1)) == frozenset()
    assert alarms(Delay(horizon_s=31)) == {Alarm.OLD_TRANSACTION}
