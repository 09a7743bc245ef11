"""Whatever fails, waits, is redriven or crashes: an aggregate's events are done in order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.envelope import Metadata
from schemas.event import Event, EventFactory
from streams.app import App
from streams.context import Context
from streams.memory.log import MemorySender
from streams.parking.letter import Letter, LetterState
from streams.parking.orders import Order, OrderKind
from streams.processor import AppProcessor
from streams.receipt import Receipt
from streams.records import OutgoingRecord, RawRecord, TopicPartition
from tests.unit.streams.bench import NOW, Bench

CATALOG = Catalog.load()
CODEC = Codec(CATALOG)
FACTORY = EventFactory(CATALOG, "test", clock=lambda: NOW)
SOURCE = TopicPartition("events.domain.high", 0)
AGGREGATES = ("a", "b", "c")


class Crashed(BaseException):
    """The process is gone."""


class MortalSender(MemorySender):
    """Sends until the process has no more life in it."""

    life = 10**9

    async def send(self, record: OutgoingRecord) -> Receipt:
        """See RecordSender."""
        if self.life <= 0:
            raise Crashed
        self.life -= 1
        return await super().send(record)


class ParkingAmongCrashes(RuleBasedStateMachine):
    """One partition and its owner, who may crash between any two records that it sends."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench(catalog=CATALOG, codec=CODEC, factory=FACTORY)
        self.log: list[RawRecord] = []
        self.names: list[tuple[str, int]] = []
        self.failing: set[int] = set()
        self.dropped: set[int] = set()
        self.done: list[int] = []
        self.committed = 0
        self.app = App("team")
        self.app.on("analysis.*", name="notify")(self.handle)
        self.sender = MortalSender(self.bench.log)
        self.processor: AppProcessor = self.bench.processor(self.app, sender=self.sender)

    async def handle(self, event: Event[Any], context: Context) -> None:
        number = int(event.metadata.user_id or "")
        if number in self.failing:
            raise ValueError(number)
        self.done.append(number)

    @rule(aggregate=st.sampled_from(AGGREGATES), fails=st.booleans())
    def publish(self, aggregate: str, fails: bool) -> None:
        number = len(self.log)
        data = {
            "analysisId": aggregate,
            "projectId": "p",
            "package": "x",
            "files": 1,
            "root": "r",
        }
        event = FACTORY.create_from_mapping(
            "analysis.started",
            data,
            aggregate_id=aggregate,
            metadata=Metadata(user_id=str(number)),
        )
        self.log.append(self.bench.record(event, number))
        self.names.append((aggregate, number))
        if fails:
            self.failing.add(number)

    @precondition(lambda self: self.committed < len(self.log))
    @rule(most=st.integers(1, 5), life=st.sampled_from([10**9, 10**9, 0, 1, 2, 3]))
    def work(self, most: int, life: int) -> None:
        records = self.log[self.committed : self.committed + most]
        if self.lives(life, lambda: self.processor.process(SOURCE, records)):
            self.committed += len(records)

    @rule(life=st.sampled_from([10**9, 10**9, 0, 1, 2, 3, 4]))
    def redo(self, life: int) -> None:
        self.bench.lot.hasten()
        self.lives(life, self.bench.redoing.redo_due)

    @precondition(lambda self: self.letters())
    @rule(
        data=st.data(),
        kind=st.sampled_from([OrderKind.REDRIVE, OrderKind.REDRIVE, OrderKind.DROP]),
        life=st.sampled_from([10**9, 10**9, 0, 1, 2, 3, 4]),
    )
    def order(self, data: st.DataObject, kind: OrderKind, life: int) -> None:
        letter = data.draw(st.sampled_from(self.letters()))
        if kind is OrderKind.DROP:
            self.dropped.add(letter.record.offset)
        self.bench.lot.order(Order(app="team", letter_id=letter.id, kind=kind))
        if self.lives(life, self.bench.redoing.carry_out_orders):
            self.lives(life, self.bench.redoing.redo_due)

    @precondition(lambda self: self.failing)
    @rule(data=st.data())
    def mend(self, data: st.DataObject) -> None:
        self.failing.discard(data.draw(st.sampled_from(sorted(self.failing))))

    @rule(life=st.sampled_from([10**9, 10**9, 0, 1]))
    def rebalance(self, life: int) -> None:
        self.take_over(life)

    def letters(self) -> list[Letter]:
        last = {it.key: it for it in self.bench.log.topic("dlq.team")}
        return [Letter.decode(it) for it in last.values() if it.value is not None]

    def lives(self, life: int, work: Callable[[], Awaitable[Any]]) -> bool:
        """Whether the owner survives a piece of work; else another one takes over."""
        self.sender.life = life

        async def run() -> None:
            await work()

        try:
            asyncio.run(run())
        except Crashed:
            self.take_over()
            return False
        return True

    def take_over(self, life: int = 10**9) -> None:
        orders = self.bench.lot.orders
        self.sender = MortalSender(self.bench.log)
        self.processor = self.bench.processor(self.app, sender=self.sender)
        self.bench.lot.orders = orders
        self.lives(life, lambda: self.bench.redoing.take_up([SOURCE]))

    @invariant()
    def dead_letters_are_counted(self) -> None:
        lot = self.bench.lot
        waiting = [it for line in lot._lines.values() for it in line.blocked.values()]
        assert lot.dead_letters == sum(
            len(it.entries) for it in waiting if it.head.letter.state is LetterState.PARKED
        )

    @invariant()
    def first_successes_are_in_order(self) -> None:
        firsts = list(dict.fromkeys(self.done))
        for aggregate in AGGREGATES:
            own = [it for it in firsts if self.names[it][0] == aggregate]
            assert own == sorted(own), (aggregate, self.done)

    def teardown(self) -> None:
        """Everything is mended and redriven: all is done that was not dropped."""
        self.failing.clear()
        self.take_over()
        while self.committed < len(self.log):
            self.work(5, 10**9)
        for _ in range(len(self.log) + 2):
            self.bench.lot.hasten()
            for letter in self.letters():
                self.bench.lot.order(Order(app="team", letter_id=letter.id, kind=OrderKind.REDRIVE))
            asyncio.run(self.bench.redoing.carry_out_orders())
            asyncio.run(self.bench.redoing.redo_due())
        assert self.bench.lot.backlog == (0, 0, 0)
        missing = set(range(len(self.log))) - set(self.done)
        assert missing <= self.dropped
        self.first_successes_are_in_order()


TestParkingAmongCrashes = ParkingAmongCrashes.TestCase
TestParkingAmongCrashes.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
