"""Tables equal the plain fold after any crash, late write, repeat and redrive."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from schemas.event import Event
from streams.projecting import TableBatch
from streams.records import OutgoingRecord, RawRecord
from streams.table import Change
from tests.unit.streams.tabling import (
    batch_on,
    changelog_of,
    changes_of,
    event,
    fold_read,
    ids_in,
    record,
    recovered,
    redriven,
)

SOURCES = ("high", "low", "retry")
KEYS = (b"a", b"b", b"c")
ENDINGS = ("done", "done", "crash", "crash after store", "frozen")


class TableAmongCrashes(RuleBasedStateMachine):
    """One partition of a table, its owner, who may crash anywhere, and owners of before."""

    def __init__(self) -> None:
        super().__init__()
        self.log: dict[str, list[tuple[RawRecord, int]]] = {source: [] for source in SOURCES}
        self.committed = dict.fromkeys(SOURCES, 0)
        self.reached = dict.fromkeys(SOURCES, 0)
        self.changelog: list[Change] = []
        self.late: list[OutgoingRecord] = []
        self.buried: list[tuple[RawRecord, int]] = []
        self.ways: dict[int, str] = {}
        self.key_of: dict[int, bytes] = {}
        self.generation = 0
        self.table = recovered(())

    @initialize()
    def first_owner(self) -> None:
        self.take_over()

    def take_over(self) -> None:
        """An owner that knows what was committed and what is in the changelog."""
        self.generation += 1
        self.table = recovered(self.changelog, generation=lambda known=self.generation: known)
        self.reached = dict(self.committed)

    @rule(
        source=st.sampled_from(SOURCES[:2]),
        key=st.sampled_from(KEYS),
        way=st.sampled_from(["good"] * 4 + ["raises", "spoils"]),
    )
    def publish(self, source: str, key: bytes, way: str) -> None:
        number = len(self.ways)
        self.ways[number], self.key_of[number] = way, key
        self.append(source, number)

    @precondition(lambda self: self.ways)
    @rule(data=st.data())
    def publish_again(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.ways)))
        source = next(it for it in SOURCES if any(known == number for _, known in self.log[it]))
        self.append(source, number)

    def append(self, source: str, number: int) -> None:
        self.log[source].append(
            (record(len(self.log[source]), self.key_of[number], source), number)
        )

    @precondition(lambda self: self.buried)
    @rule(data=st.data(), is_healed=st.booleans())
    def redrive(self, data: st.DataObject, is_healed: bool) -> None:
        buried, number = data.draw(st.sampled_from(self.buried))
        if is_healed:
            self.ways[number] = "good"
        self.log["retry"].append((redriven(buried, len(self.log["retry"])), number))

    @rule(data=st.data(), source=st.sampled_from(SOURCES), most=st.integers(1, 4))
    def work(self, data: st.DataObject, source: str, most: int) -> None:
        """A batch: it is finished, or cut off while its changelog is written, or after that."""
        batch, written = self.begin(source, most)
        ending = data.draw(
            st.sampled_from(["done", "done", "crash", "crash after store", "frozen"])
        )
        if ending in ("crash", "frozen"):
            length = data.draw(st.integers(0, len(written)))
            self.changelog += changes_of(written[:length])
            if ending == "frozen":
                self.late = written[length:]
            self.take_over()
            return
        self.changelog += changes_of(written)
        batch.store()
        if ending == "done":
            self.committed[source] = self.reached[source]
        else:
            self.take_over()

    def begin(self, source: str, most: int) -> tuple[TableBatch, list[OutgoingRecord]]:
        start = self.reached[source]
        taken = self.log[source][start : start + most]
        self.reached[source] = start + len(taken)
        batch = batch_on(self.table)
        numbers = {it.offset: number for it, number in taken}
        deliveries = [(it, self.seen(number)) for it, number in taken]
        for buried in fold_read(batch, deliveries[:2], deliveries[2:]):
            if (buried, numbers[buried.offset]) not in self.buried:
                self.buried.append((buried, numbers[buried.offset]))
        return batch, changelog_of(batch)

    def seen(self, number: int) -> Event[Any]:
        return event(number, self.ways[number])

    @precondition(lambda self: self.late)
    @rule(data=st.data())
    def thaw(self, data: st.DataObject) -> None:
        """What a frozen owner had in its buffer is written after all."""
        length = data.draw(st.integers(1, len(self.late)))
        self.changelog += changes_of(self.late[:length])
        del self.late[:length]

    @rule()
    def rebalance(self) -> None:
        self.take_over()

    @invariant()
    def nothing_is_shown_twice(self) -> None:
        for ids in ids_in(self.table).values():
            assert len(ids) == len(set(ids))

    def teardown(self) -> None:
        """Everything is worked on to its end; a table from the changelog shows the same."""
        self.take_over()
        for source in SOURCES:
            while self.reached[source] < len(self.log[source]):
                batch, written = self.begin(source, 3)
                self.changelog += changes_of(written)
                batch.store()
        expected: dict[str, set[str]] = {}
        for number, way in self.ways.items():
            if way == "good":
                expected.setdefault(self.key_of[number].decode(), set()).add(event(number).id)
        for shown in (self.table, recovered(self.changelog)):
            ids = ids_in(shown)
            assert {key: sorted(found) for key, found in ids.items() if found} == {
                key: sorted(found) for key, found in expected.items()
            }


TestTableAmongCrashes = TableAmongCrashes.TestCase
TestTableAmongCrashes.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
