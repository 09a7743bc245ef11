"""Each event is applied once, whatever is delivered how often, against a plain fold."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.envelope import Category, Envelope, Metadata, Priority
from schemas.event import Event
from streams.projecting import TableBatch
from streams.projection import RECENT_IDS, Entry, Projection, State
from streams.records import Origin
from streams.table import MemoryTable

SOURCES = 3


class FoldFailed(Exception):
    """The event cannot be folded."""


def count(state: State, event: Event[Any]) -> State:
    """Note the id, in place, and fail afterwards for some: a half-done change must not stay."""
    state.setdefault("ids", []).append(event.id)
    if event.source == "bad":
        raise FoldFailed
    return state


PROJECTION = Projection(name="counted", patterns=("*",), fold=count, initial=dict)


def event(number: int, source: str = "good") -> Event[Any]:
    envelope = Envelope(
        id=f"e{number}",
        type="analysis.started",
        category=Category.DOMAIN,
        priority=Priority.HIGH,
        version="1.0.0",
        timestamp_ms=0,
        source=source,
        correlation_id=None,
        causation_id=None,
        aggregate=None,
        metadata=Metadata(),
    )
    return Event(envelope, dict)


class Log:
    """What three source partitions hold, event and key at each offset; some events stand twice."""

    def __init__(self, written: list[tuple[int, int, bool, bool]]) -> None:
        self.sources: list[list[tuple[Event[Any], str]]] = [[] for _ in range(SOURCES)]
        for number, (source, key, is_bad, is_twice) in enumerate(written):
            entry = (event(number, "bad" if is_bad else "good"), f"k{key}")
            self.sources[source] += [entry] * (2 if is_twice else 1)
        self.bad = {
            entry.id for source in self.sources for entry, _ in source if entry.source == "bad"
        }

    def plain_fold(self) -> dict[str, set[str]]:
        """Per key the ids that a fold over everything, each event once, holds."""
        folded: dict[str, set[str]] = {}
        for source in self.sources:
            for entry, key in source:
                if entry.id not in self.bad:
                    folded.setdefault(key, set()).add(entry.id)
        return folded


written_events = st.lists(
    st.tuples(st.integers(0, SOURCES - 1), st.integers(0, 2), st.booleans(), st.booleans()),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(written=written_events, data=st.data())
def test_tables_equal_a_plain_fold_after_crashes_repeats_and_interleaving(
    written: list[tuple[int, int, bool, bool]], data: st.DataObject
) -> None:
    log = Log(written)
    tables = {"counted": MemoryTable("changelog")}
    committed = [0] * SOURCES
    crashes_left = data.draw(st.integers(0, 6))
    while any(committed[source] < len(log.sources[source]) for source in range(SOURCES)):
        batch, reached = TableBatch(tables, 0), list(committed)
        for source in data.draw(st.permutations(list(range(SOURCES)) * 4)):
            if reached[source] < len(log.sources[source]):
                entry, key = log.sources[source][reached[source]]
                try:
                    batch.apply(PROJECTION, key, entry, Origin(f"t{source}", 0, reached[source]))
                except FoldFailed:
                    assert entry.id in log.bad
                reached[source] += 1
        outcomes = ("done", "crash", "crash after store") if crashes_left else ("done",)
        outcome = data.draw(st.sampled_from(outcomes))
        if outcome != "crash":
            batch.store()
        if outcome == "done":
            committed = reached
        else:
            crashes_left -= 1
    table = tables["counted"]
    keys = table.keys()
    stored = {key: Entry.decode(table.get(key) or b"").state["ids"] for key in keys}
    assert {key: sorted(ids) for key, ids in stored.items()} == {
        key: sorted(ids) for key, ids in log.plain_fold().items()
    }


def test_nothing_is_visible_before_store() -> None:
    table = MemoryTable("changelog")
    batch = TableBatch({"counted": table}, 3)
    batch.apply(PROJECTION, "k", event(1), Origin("t", 0, 0))
    (change,) = batch.changelog()
    assert table.keys() == ()
    batch.store()
    assert (change.topic, change.key, change.partition) == ("changelog", b"k", 3)
    assert table.get("k") == change.value


def test_a_batch_writes_one_change_per_entry() -> None:
    batch = TableBatch({"counted": MemoryTable("changelog")}, 0)
    for number in range(100):
        batch.apply(PROJECTION, f"k{number % 2}", event(number), Origin("t", 0, number))
    assert [change.key for change in batch.changelog()] == [b"k0", b"k1"]


def test_a_batch_of_repeats_changes_nothing() -> None:
    tables = {"counted": MemoryTable("changelog")}
    first, repeat = TableBatch(tables, 0), TableBatch(tables, 0)
    first.apply(PROJECTION, "k", event(1), Origin("t", 0, 5))
    first.store()
    repeat.apply(PROJECTION, "k", event(1), Origin("t", 0, 5))
    assert repeat.changelog() == []


def test_the_same_event_at_two_places_is_applied_once() -> None:
    batch = TableBatch({"counted": MemoryTable("changelog")}, 0)
    batch.apply(PROJECTION, "k", event(1), Origin("t", 0, 5))
    batch.apply(PROJECTION, "k", event(1), Origin("t", 0, 6))
    batch.apply(PROJECTION, "k", event(1), Origin("other", 2, 0))
    (change,) = batch.changelog()
    assert Entry.decode(change.value or b"").state == {"ids": ["e1"]}


def test_the_memory_of_ids_is_bounded() -> None:
    batch = TableBatch({"counted": MemoryTable("changelog")}, 0)
    for number in range(RECENT_IDS + 50):
        batch.apply(PROJECTION, "k", event(number), Origin("t", 0, number))
    (change,) = batch.changelog()
    assert len(Entry.decode(change.value or b"").recent) == RECENT_IDS
