"""A batch of events on a table: grouped writes, each event once, a failing fold alone missed."""

from __future__ import annotations

from typing import Any

import pytest
import structlog.testing

from schemas.event import Event
from streams.coverage import LARGEST_MISSING
from streams.emission import EMISSION, Emission
from streams.entry_sending import Stretch
from streams.errors import StateNotStorable
from streams.projecting import TableBatch
from streams.projection import Entry, Projection, State
from streams.records import ORIGIN, Origin
from streams.table import MemoryTable
from streams.window import SLOT_IDS, is_reserved, slot_key
from tests.unit.streams.tabling import (
    COLLECTED,
    PARTITION,
    FoldFailed,
    batch_on,
    changelog_of,
    changes_of,
    event,
    event_id,
    fold_each,
    ids_in,
    record,
    recovered,
    redriven,
    table,
)


def ids(*numbers: int) -> list[str]:
    return [event_id(number) for number in numbers]


def test_nothing_is_visible_before_store() -> None:
    target = table()
    batch = batch_on(target)
    fold_each(batch, [(record(0), event(1))])
    _, change = changelog_of(batch)
    assert target.keys() == ()
    batch.store()
    assert (change.topic, change.key, change.partition) == ("changelog", b"k", PARTITION)
    assert target.get("k") == change.value


def test_a_batch_writes_the_ids_and_then_one_change_per_entry() -> None:
    batch = batch_on(table())
    fold_each(batch, [(record(at, b"k%d" % (at % 2)), event(at)) for at in range(9)])
    assert [change.key for change in changelog_of(batch)] == [slot_key(0), b"k0", b"k1"]


def test_a_batch_of_repeats_changes_nothing() -> None:
    target = table()
    for expected in (2, 0):
        batch = batch_on(target)
        fold_each(batch, [(record(5), event(1))])
        assert len(changelog_of(batch)) == expected
        batch.store()


def test_repeats_that_another_owner_had_applied_are_written_for_this_one() -> None:
    first = table()
    batch = batch_on(first)
    fold_each(batch, [(record(5), event(1))])
    later = recovered(changes_of(changelog_of(batch)), generation=lambda: 1)
    again = batch_on(later)
    fold_each(again, [(record(5), event(1))])
    (change,) = changelog_of(again)
    entry = Entry.decode(change.value or b"")
    assert (entry.coverage.generation, entry.state) == (1, {"ids": ids(1)})


def test_the_same_event_at_two_places_is_applied_once() -> None:
    target = table()
    batch = batch_on(target)
    places = (record(5), record(6), record(0, b"k", "u"))
    fold_each(batch, [(place, event(1)) for place in places])
    changelog_of(batch)
    batch.store()
    assert ids_in(target) == {"k": ids(1)}


def test_a_copy_is_known_by_its_own_place_once_it_was_dropped() -> None:
    """The first copy's id may have left the window when the second is read again."""
    target = table(window_ids=1)
    copies = [(record(0), event(1)), (record(1), event(1))]
    others = [(record(at, b"other", "u"), event(at)) for at in range(2, 2 + 2 * SLOT_IDS)]
    for deliveries in (copies, others[:SLOT_IDS], others[SLOT_IDS:], copies[1:]):
        batch = batch_on(target)
        fold_each(batch, deliveries)
        batch.store()
    assert ids_in(target)["k"] == ids(1)


def test_repeats_enter_a_window_whose_record_was_lost() -> None:
    first = table()
    batch = batch_on(first)
    fold_each(batch, [(record(0), event(1))])
    entries_alone = [it for it in changes_of(changelog_of(batch)) if not is_reserved(it[0] or b"")]
    target = recovered(entries_alone)
    again = batch_on(target)
    fold_each(again, [(record(0), event(1)), (record(1), event(1))])
    again.store()
    assert ids_in(target) == {"k": ids(1)}


def test_ids_whose_entries_were_never_written_lose_nothing() -> None:
    batch = batch_on(table())
    fold_each(batch, [(record(0), event(1))])
    ids_alone = [it for it in changes_of(changelog_of(batch)) if is_reserved(it[0] or b"")]
    target = recovered(ids_alone)
    again = batch_on(target)
    fold_each(again, [(record(0), event(1))])
    again.store()
    assert ids_in(target) == {"k": ids(1)}


def test_an_abandoned_batch_leaves_the_table_as_it_was() -> None:
    target = table()
    done = batch_on(target)
    fold_each(done, [(record(0), event(1))])
    done.store()
    abandoned = batch_on(target)
    fold_each(abandoned, [(record(1), event(2))])
    changelog_of(abandoned)
    again = batch_on(target)
    fold_each(again, [(record(1), event(2)), (record(2), event(3))])
    again.store()
    assert ids_in(target) == {"k": ids(1, 2, 3)}


@pytest.mark.parametrize("way", ["raises", "spoils"])
def test_of_a_batch_the_failing_events_alone_are_missed(way: str) -> None:
    target = table()
    batch = batch_on(target)
    failing = {2, 5, 6}
    buried = fold_each(
        batch,
        [(record(at), event(at, way if at in failing else "good")) for at in range(9)]
        + [(record(9, b"other"), event(9))],
    )
    batch.store()
    assert [it.offset for it in buried] == sorted(failing)
    assert ids_in(target) == {"k": ids(0, 1, 3, 4, 7, 8), "other": ids(9)}


def test_what_failed_is_given_back_in_order_with_what_stands_behind_it() -> None:
    batch = batch_on(table())
    deliveries = [
        (record(0), event(0)),
        (record(1), event(1, "raises")),
        (record(2, b"other"), event(2)),
        (record(3), event(3)),
    ]
    undone = batch.fold_all(COLLECTED, deliveries)
    assert [it.offset for it, _ in undone] == [1, 3]
    with pytest.raises(FoldFailed):
        batch.fold(COLLECTED, *undone[0])


def test_many_failures_in_one_entry_cost_one_fold_again_each() -> None:
    folds = 0

    def counting(state: State, happened: Event[Any]) -> State:
        nonlocal folds
        folds += 1
        if happened.source == "raises":
            raise FoldFailed
        return {"n": state.get("n", 0) + 1}

    projection = Projection(name="collected", patterns=("*",), fold=counting, initial=dict)
    batch = batch_on(table())
    for at in range(200):
        happened = event(at, "raises" if at % 2 else "good")
        if at % 2:
            with pytest.raises(FoldFailed):
                batch.fold(projection, record(at), happened)
            batch.leave_out(projection, record(at))
        else:
            batch.fold(projection, record(at), happened)
    assert folds == 300


def test_a_dead_letter_is_applied_when_it_is_redriven_and_only_once() -> None:
    first = batch_on(table())
    deliveries = [(record(at), event(at, "raises" if at == 1 else "good")) for at in range(3)]
    (buried,) = fold_each(first, deliveries)
    changelog = changes_of(changelog_of(first))
    for offset in range(2):
        batch = batch_on(recovered(changelog))
        fold_each(batch, [(redriven(buried, offset), event(1))])
        changelog += changes_of(changelog_of(batch))
        assert ids_in(recovered(changelog)) == {"k": ids(0, 2, 1)}


def test_an_event_that_was_applied_is_not_applied_again_when_it_is_redriven() -> None:
    target = table()
    batch = batch_on(target)
    fold_each(batch, [(record(0), event(0)), (redriven(record(0), 0), event(0))])
    batch.store()
    assert ids_in(target) == {"k": ids(0)}


def test_what_is_redriven_before_it_was_read_in_order_hides_nothing() -> None:
    target = table()
    batch = batch_on(target)
    fold_each(batch, [(redriven(record(1), 0), event(1))])
    fold_each(batch, [(record(0), event(0)), (record(1), event(1))])
    batch.store()
    assert ids_in(target) == {"k": ids(0, 1)}


def test_copies_in_a_repartition_topic_are_in_order() -> None:
    target = table()
    batch = batch_on(target)
    copied = [
        record(at, b"k", "repartition.app.collected", (ORIGIN, Origin("t", 7, at).encode()))
        for at in range(2)
    ]
    fold_each(batch, [(it, event(it.offset)) for it in copied])
    batch.store()
    assert ids_in(target) == {"k": ids(0, 1)}
    assert Entry.decode(target.get("k") or b"").coverage.positions == {"t/7": 1}


def test_a_key_whose_events_have_all_failed_is_not_shown() -> None:
    target = table()
    batch = batch_on(target)
    fold_each(batch, [(record(0), event(0, "raises"))])
    change = changes_of(changelog_of(batch))
    batch.store()
    for shown in (target, recovered(change)):
        assert (shown.get("k"), shown.keys(), shown.items()) == (None, (), ())
        healed = batch_on(shown)
        fold_each(healed, [(redriven(record(0), 0), event(0))])
        healed.store()
        assert ids_in(shown) == {"k": ids(0)}


def test_an_initial_state_that_fails_is_noted_as_missing() -> None:
    def failing() -> State:
        raise FoldFailed

    broken = Projection(name="collected", patterns=("*",), fold=COLLECTED.fold, initial=failing)
    target = table()
    batch = batch_on(target)
    with pytest.raises(FoldFailed):
        batch.fold(broken, record(0), event(0))
    batch.leave_out(broken, record(0))
    batch.store()
    healed = batch_on(target)
    fold_each(healed, [(record(1), event(1)), (redriven(record(0), 0), event(0))])
    healed.store()
    assert ids_in(target) == {"k": ids(1, 0)}


def test_a_key_that_is_no_text_is_refused_and_cannot_be_noted() -> None:
    batch = batch_on(table())
    with pytest.raises(ValueError, match="utf-8"):
        batch.fold(COLLECTED, record(0, b"\xff"), event(0))
    batch.leave_out(COLLECTED, record(0, b"\xff"))
    assert changelog_of(batch) == []


def test_a_state_that_cannot_be_stored_and_was_not_asked_for_stops_the_batch() -> None:
    batch = batch_on(table())
    batch.fold_all(COLLECTED, [(record(0), event(0, "spoils"))])
    with pytest.raises(StateNotStorable, match="collected"):
        changelog_of(batch)


def test_too_many_dead_letters_of_one_entry_are_said() -> None:
    batch = batch_on(table())
    with structlog.testing.capture_logs() as logs:
        for offset in range(LARGEST_MISSING + 1):
            batch.leave_out(COLLECTED, record(offset))
    assert [(it["log_level"], it["offset"]) for it in logs] == [("warning", 0)]


def test_an_emitted_event_is_known_by_its_place_in_its_stream() -> None:
    target = table(window_ids=1)
    places = [Emission("app", "notify", Origin("cause", 0, cause), 0) for cause in (0, 1, 0, 1, 2)]
    for offset, place in enumerate(places):
        batch = batch_on(target)
        emitted = record(offset, b"k", "t", (EMISSION, place.encode()))
        fold_each(batch, [(emitted, event(place.cause.offset))])
        batch.store()
    assert ids_in(target) == {"k": ids(0, 1, 2)}


def test_an_entry_of_the_first_format_still_knows_its_ids() -> None:
    value = b'{"state":{"ids":["x"]},"positions":{"t/3":4},"recent":["%b"],"generation":0}'
    target = recovered([(b"k", value % event_id(1).encode())])
    batch = batch_on(target)
    fold_each(batch, [(record(4), event(0)), (record(5), event(1)), (record(6), event(2))])
    batch.store()
    assert ids_in(target) == {"k": ["x", *ids(2)]}


def test_each_batch_begins_with_what_json_gives_back() -> None:
    def pairs(state: State, happened: Event[Any]) -> State:
        assert all(isinstance(pair, list) for pair in state.get("pairs", ()))
        return {"pairs": [*state.get("pairs", ()), (happened.id, 1)]}

    projection = Projection(name="collected", patterns=("*",), fold=pairs, initial=dict)
    target = table()
    for offset in range(3):
        batch = batch_on(target)
        assert batch.fold_all(projection, [(record(offset), event(offset))]) == []
        batch.store()
    assert len(Entry.decode(target.get("k") or b"").state["pairs"]) == 3


def test_two_tables_in_one_batch_keep_their_own_ids_and_entries() -> None:
    other = Projection(name="other", patterns=("*",), fold=COLLECTED.fold, initial=dict)
    tables = {"collected": table(), "other": MemoryTable("other-changelog")}
    batch = TableBatch(tables, PARTITION)
    for projection in (COLLECTED, other):
        assert batch.fold_all(projection, [(record(0), event(0))]) == []
    topics = [change.topic for change in changelog_of(batch)]
    assert topics == ["changelog"] * 2 + ["other-changelog"] * 2
    batch.store([Stretch("other-changelog", range(at, at + 1)) for at in (1, 0)])
    assert [it.partition(PARTITION).next_offset for it in tables.values()] == [0, 2]
    assert ids_in(tables["collected"]) == ids_in(tables["other"]) == {"k": ids(0)}


def test_all_places_of_entries_that_were_sent_as_one_are_known_to_the_store() -> None:
    target = table()
    batch = batch_on(target)
    fold_each(batch, [(record(at, b"k%d" % at), event(at)) for at in range(2)])
    assert len(changelog_of(batch)) == 3
    batch.store([Stretch("changelog", range(2)), Stretch("changelog", range(2, 3))])
    assert target.partition(PARTITION).next_offset == 3


def test_a_repeat_of_an_event_that_turns_out_to_be_unstorable_is_missed_with_it() -> None:
    target = table()
    batch = batch_on(target)
    spoilt = [(record(at), event(1, "spoils")) for at in (0, 1)]
    assert [it.offset for it in fold_each(batch, spoilt)] == [0, 1]
    changelog_of(batch)
    batch.store()
    healed = batch_on(target)
    assert fold_each(healed, [(redriven(spoilt[0][0], 0), event(1))]) == []
    assert fold_each(healed, [(redriven(spoilt[1][0], 1), event(1))]) == []
    changelog_of(healed)
    healed.store()
    assert ids_in(target) == {"k": ids(1)}
