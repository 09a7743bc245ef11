"""Events that are folded many at once: the same tables as from events that are folded singly."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.envelope import Aggregate
from schemas.event import Event
from streams.delivery import Delivery
from streams.emission import EMISSION, Emission
from streams.projecting import TableBatch
from streams.projection import Entry, State
from streams.records import ORIGIN, Origin, OutgoingRecord, TopicPartition
from streams.window import is_reserved
from tests.unit.streams.tabling import (
    COLLECTED,
    PARTITION,
    batch_on,
    batch_that_views_again,
    changelog_of,
    event,
    event_id,
    fold_each,
    fold_read,
    ids_in,
    record,
    recovered,
    redriven,
    table,
)

ID = event_id(1).encode()
NUMBERS = 9
READ = st.lists(
    st.tuples(st.integers(0, NUMBERS - 1), st.sampled_from(["plain"] * 5 + ["emitted", "copied"])),
    max_size=12,
)
WAYS = st.lists(
    st.sampled_from(["good"] * 6 + ["raises", "spoils"]), min_size=NUMBERS, max_size=NUMBERS
)


def delivered(offset: int, number: int, way: str, kind: str) -> Delivery:
    headers: list[tuple[str, bytes]] = []
    if kind == "emitted":
        headers.append(
            (EMISSION, Emission("team", "notify", Origin("cause", 0, offset), 0).encode())
        )
    elif kind == "copied":
        headers.append((ORIGIN, Origin("elsewhere", PARTITION, offset).encode()))
    return record(offset, b"k%d" % (number % 3), "t", *headers), event(number, way)


@given(
    batches=st.lists(READ, max_size=4),
    ways=WAYS,
    cut=st.integers(0, 12),
    views_again=st.booleans(),
)
@settings(max_examples=300, deadline=None)
def test_events_that_are_folded_many_at_once_end_as_those_that_are_folded_singly(
    batches: list[list[tuple[int, str]]], ways: list[str], cut: int, *, views_again: bool
) -> None:
    together, singly = table(), table()
    offset = 0
    for batch in batches:
        deliveries = []
        for number, kind in batch:
            deliveries.append(delivered(offset, number, ways[number], kind))
            offset += 1
        one, other = batch_on(together), batch_on(singly)
        if views_again:
            one = batch_that_views_again(together, deliveries)
        buried = fold_read(one, deliveries[:cut], deliveries[cut:])
        assert sorted(buried) == sorted(fold_each(other, deliveries))
        assert {change.key: Entry.decode(change.value or b"") for change in entries_of(one)} == {
            change.key: Entry.decode(change.value or b"") for change in entries_of(other)
        }
        one.store()
        other.store()
    assert dict(together.items()) == dict(singly.items())


def entries_of(batch: TableBatch) -> list[OutgoingRecord]:
    return [change for change in changelog_of(batch) if not is_reserved(change.key or b"")]


def test_a_fold_that_fails_late_takes_back_what_was_folded_at_once_before() -> None:
    batch = batch_on(table())
    good = [(record(at, b"k%d" % (at % 3)), event(at)) for at in range(6)]
    failing = [(record(6, b"k0"), event(6, "raises")), (record(7, b"k0"), event(7))]
    assert [it.offset for it in fold_read(batch, good, failing)] == [6]
    states = {change.key: Entry.decode(change.value or b"") for change in entries_of(batch)}
    assert states[b"k0"].state == {"ids": [event_id(number) for number in (0, 3, 7)]}
    assert states[b"k1"].state == {"ids": [event_id(number) for number in (1, 4)]}
    assert states[b"k0"].coverage.missing == {f"t/{PARTITION}": {6}}


def test_an_id_of_the_first_format_is_known_where_events_are_folded_at_once() -> None:
    target = recovered(
        [(b"k", b'{"state":{"ids":["%b"]},"positions":{},"recent":["%b"]}' % ((ID,) * 2))]
    )
    batch = batch_on(target)
    assert fold_read(batch, [(record(5), event(1)), (record(6), event(2))]) == []
    batch.store()
    assert ids_in(target) == {"k": [event_id(1), event_id(2)]}


def appended(number: int, version: int) -> Event[Any]:
    happened = event(number)
    return Event(happened.envelope._replace(aggregate=Aggregate("Account", "a", version)), dict)


def test_versions_tell_repeats_that_the_window_has_forgotten() -> None:
    target = table(window_ids=10)
    account = b"Account/a"

    def work(first: int, events: list[Event[Any]], key: bytes) -> None:
        batch = batch_on(target)
        fold_read(batch, [(record(first + at, key), one) for at, one in enumerate(events)])
        changelog_of(batch)
        batch.store()

    sent = [appended(number, number + 1) for number in range(3)]
    work(0, sent, account)
    for first in range(3, 1_003, 200):
        work(first, [event(number) for number in range(first, first + 200)], b"other")
    work(1_003, [*sent, appended(9_000, 4)], account)
    assert ids_in(target)["Account/a"] == [event_id(number) for number in (0, 1, 2, 9_000)]


def test_a_key_that_is_noted_as_missed_is_not_opened_anew() -> None:
    target = table()
    is_away = True

    def initial() -> State:
        if is_away:
            raise ValueError("not now")
        return {}

    projection = replace(COLLECTED, initial=initial)
    batch, source = batch_on(target), TopicPartition("t", PARTITION)
    ((missed, happened),) = batch.fold_in_order(projection, source, [record(0)], [event(0)])
    batch.leave_out(projection, missed)
    batch.settle()
    is_away = False
    assert batch.fold_in_order(projection, source, [record(1)], [event(1)]) == []
    changelog_of(batch)
    batch.store()
    again = batch_on(target)
    again.fold(projection, redriven(missed, 5), happened)
    changelog_of(again)
    again.store()
    assert ids_in(target) == {"k": [event_id(1), event_id(0)]}


def test_what_is_left_out_behind_events_that_are_not_settled_can_be_redriven() -> None:
    target = table()
    batch, source = batch_on(target), TopicPartition("t", PARTITION)
    batch.fold_in_order(COLLECTED, source, [record(5)], [event(1)])
    batch.leave_out(COLLECTED, record(10))
    changelog_of(batch)
    batch.store()
    again = batch_on(target)
    again.fold(COLLECTED, redriven(record(10), 11), event(2))
    changelog_of(again)
    again.store()
    assert ids_in(target) == {"k": [event_id(1), event_id(2)]}
