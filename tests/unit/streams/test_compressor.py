"""Runs of compressible events become one event, and nothing else changes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.envelope import Priority
from schemas.errors import UnknownEventType
from schemas.event import Event
from streams.compressor import (
    COMPRESSED_FIRST,
    COMPRESSED_FROM,
    COMPRESSED_LAST,
    EventCompressor,
    later_value_wins,
    later_wins,
)
from streams.errors import MergeFailed, NotCompressible
from tests.unit.schemas.schema_files import source
from tests.unit.streams.bench import NOW
from tests.unit.streams.compressible import (
    CATALOG,
    MOVED,
    PLACED,
    PROGRESSED,
    Orders,
    compressor,
    type_of,
    with_user,
)

Said = list[tuple[str, str, int]]


@pytest.fixture
def orders() -> Orders:
    return Orders()


def said(events: list[Event[Any]]) -> Said:
    """What each event says: type, order, step."""
    return [(event.type, event.payload["orderId"], event.payload["step"]) for event in events]


def test_a_run_becomes_one_event_with_the_last_data_before_the_next_that_counts(
    orders: Orders,
) -> None:
    placed = orders.placed("o2")
    events = [orders.progressed(step=step) for step in (1, 2, 3)]
    given_events = [
        *events[:2],
        placed,
        events[2],
        orders.placed(step=9),
        orders.progressed(step=4),
    ]
    assert said(compressor().compress(given_events)) == [
        (PLACED, "o2", placed.payload["step"]),
        (PROGRESSED, "o1", 3),
        (PLACED, "o1", 9),
        (PROGRESSED, "o1", 4),
    ]


def test_what_is_left_comes_out_in_the_order_in_which_aggregates_appeared(orders: Orders) -> None:
    events = [orders.progressed(name, step=n) for n, name in enumerate(("o2", "o1", "o2"))]
    assert said(compressor().compress(events)) == [(PROGRESSED, "o2", 2), (PROGRESSED, "o1", 1)]


def test_another_type_ends_a_run_since_its_data_may_say_the_same_field(orders: Orders) -> None:
    events = [orders.progressed(step=1), orders.moved(step=2), orders.progressed(step=3)]
    assert compressor().compress(events) == events


def test_a_merged_event_is_of_the_last_time_with_an_id_that_follows_from_its_parts(
    orders: Orders,
) -> None:
    one, two = orders.progressed(), orders.progressed()
    (merged,) = compressor().compress([one, two])
    (again,) = compressor().compress([one, two])
    (other,) = compressor().compress([two, one])
    assert merged == again
    assert merged.id not in {one.id, two.id, other.id}
    assert merged.timestamp == NOW + timedelta(milliseconds=1)
    assert merged.metadata.extra == {
        COMPRESSED_FROM: "2",
        COMPRESSED_FIRST: one.id,
        COMPRESSED_LAST: two.id,
    }
    assert (merged.aggregate, merged.topic, merged.key) == (one.aggregate, one.topic, one.key)


def test_a_merged_event_that_is_merged_again_counts_all_of_its_parts(orders: Orders) -> None:
    first, *others = [orders.progressed() for _ in range(4)]
    (part,) = compressor().compress([first, others[0]])
    (whole,) = compressor().compress([part, *others[1:]])
    assert whole.metadata.extra[COMPRESSED_FROM] == "4"
    assert whole.metadata.extra[COMPRESSED_FIRST] == first.id
    assert whole.metadata.extra[COMPRESSED_LAST] == others[-1].id


def test_correlation_causation_and_metadata_stay_where_all_agree(orders: Orders) -> None:
    agreed = [orders.progressed(causation_id="x", correlation_id="c") for _ in range(2)]
    (merged,) = compressor().compress(agreed)
    assert (merged.causation_id, merged.correlation_id) == ("x", "c")
    parted = [orders.progressed(causation_id=x, correlation_id=x) for x in ("x", "y")]
    (merged,) = compressor().compress(parted)
    assert (merged.causation_id, merged.correlation_id) == (None, None)


@pytest.mark.parametrize(
    "difference",
    [
        {"project": "p2"},
        {"metadata": with_user("u2")},
    ],
    ids=["rooms", "user"],
)
def test_events_that_others_may_see_are_not_merged(
    orders: Orders, difference: Mapping[str, Any]
) -> None:
    events = [orders.progressed(), orders.progressed(**difference)]
    assert compressor().compress(events) == events


def test_personal_data_of_one_person_are_not_merged_into_anothers() -> None:
    catalog = Catalog([source(event_type=PLACED)])
    factory = Orders(catalog)._factory
    data = {"orderId": "o1", "projectId": "p1"}
    events = [
        factory.create_from_mapping(PLACED, data | {"buyer": buyer}) for buyer in ("b1", "b2")
    ]
    assert EventCompressor(catalog, {PLACED: later_wins}).compress(events) == events


def test_an_event_that_comes_twice_counts_once(orders: Orders) -> None:
    def sum_up(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**later, "step": earlier["step"] + later["step"]}

    one, two = orders.progressed(step=1), orders.progressed(step=2)
    (merged,) = compressor(**{PROGRESSED: sum_up}).compress([one, two, one])
    assert merged.payload["step"] == 3


def test_a_null_clears_or_says_nothing_as_the_type_declares(orders: Orders) -> None:
    events = [orders.progressed(note="a", step=1), orders.progressed(note=None, step=2)]
    (cleared,) = compressor().compress(events)
    (kept,) = compressor(**{PROGRESSED: later_value_wins}).compress(events)
    assert (cleared.payload["note"], kept.payload["note"]) == (None, "a")
    assert (cleared.payload["step"], kept.payload["step"]) == (2, 2)


def test_a_merged_event_can_be_encoded_and_read(orders: Orders) -> None:
    codec = Codec(CATALOG)
    (merged,) = compressor().compress([orders.progressed(), orders.progressed()])
    assert codec.view(codec.encode(merged)) == merged


def test_events_that_were_read_are_merged_as_well(orders: Orders) -> None:
    codec = Codec(CATALOG)
    events = [codec.view(codec.encode(orders.progressed(step=n))) for n in range(3)]
    (merged,) = compressor().compress(events)
    assert codec.view(codec.encode(merged)).payload["step"] == 2


@pytest.mark.parametrize(
    ("merge", "problem"),
    [
        (lambda earlier, later: {**later, "step": "three"}, "data.step"),
        (lambda earlier, later: earlier["nothing"], "KeyError"),
        (lambda earlier, later: {**later, "projectId": "p9"}, "others may see"),
    ],
    ids=["misfit", "defect", "other rooms"],
)
def test_a_merge_that_cannot_be_right_names_the_events_and_what_is_wrong(
    orders: Orders, merge: Any, problem: str
) -> None:
    events = [orders.progressed(), orders.progressed()]
    with pytest.raises(MergeFailed, match=problem) as failed:
        compressor(**{PROGRESSED: merge}).compress(events)
    assert failed.value.event_ids == tuple(event.id for event in events)


@pytest.mark.parametrize(
    ("wundr", "reason"),
    [
        ({"priority": "critical"}, "CRITICAL"),
        ({"appended": True}, "appended"),
        ({"aggregate": None, "key": None}, "no aggregate"),
    ],
    ids=["critical", "appended", "no aggregate"],
)
def test_a_type_whose_every_event_counts_is_refused_when_it_is_declared(
    wundr: dict[str, Any], reason: str
) -> None:
    catalog = Catalog([type_of("order.refunded", **wundr)])
    with pytest.raises(NotCompressible, match=reason):
        EventCompressor(catalog, {"order.refunded": later_wins})
    with pytest.raises(UnknownEventType):
        EventCompressor(catalog, {"order.lost": later_wins})


def test_an_event_that_is_critical_by_itself_or_has_a_version_counts(orders: Orders) -> None:
    plain, other = orders.progressed(), orders.progressed()
    critical = Event(other.envelope._replace(priority=Priority.CRITICAL), other.data)
    assert other.aggregate is not None
    versioned = Event(
        other.envelope._replace(aggregate=other.aggregate._replace(version=2)), other.data
    )
    for counting in (critical, versioned):
        events = [plain, counting, orders.progressed()]
        assert compressor().compress(events) == events


STEPS = st.lists(
    st.tuples(
        st.sampled_from([PROGRESSED, MOVED, PLACED]),
        st.sampled_from(["o1", "o2", "o3"]),
        st.sampled_from(["p1", "p1", "p2"]),
    ),
    max_size=40,
)


def written(steps: list[tuple[str, str, str]]) -> list[Event[Any]]:
    orders = Orders()
    return [orders.event(kind, order, project=project) for kind, order, project in steps]


def last_states(events: list[Event[Any]]) -> dict[str, dict[str, Any]]:
    states: dict[str, dict[str, Any]] = {}
    for event in events:
        states.setdefault(event.key, {}).update(event.payload)
        states[event.key][event.type] = event.payload["step"]
    return states


@given(STEPS)
def test_compressing_twice_is_compressing_once(steps: list[tuple[str, str, str]]) -> None:
    once = compressor().compress(written(steps))
    assert compressor().compress(once) == once


@given(STEPS)
def test_whoever_folds_the_compressed_events_ends_with_the_same_state(
    steps: list[tuple[str, str, str]],
) -> None:
    events = written(steps)
    assert last_states(compressor().compress(events)) == last_states(events)


@given(STEPS)
def test_events_that_count_keep_their_order_and_no_run_crosses_one(
    steps: list[tuple[str, str, str]],
) -> None:
    events = written(steps)
    compressed = compressor().compress(events)
    assert [e for e in compressed if e.type == PLACED] == [e for e in events if e.type == PLACED]
    for order in ("o1", "o2", "o3"):
        mine = [event for event in events if event.payload["orderId"] == order]
        parts = [
            part
            for run in compressor().runs(events)
            for part in run
            if part.payload["orderId"] == order
        ]
        assert parts == mine
