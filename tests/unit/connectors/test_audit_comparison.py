"""The comparison finds each planted anomaly, and nothing in a history that is right."""

from collections.abc import Callable

import pytest

from connectors.audit import NAMED, Anomaly, Findings, Kind
from connectors.audit_comparison import (
    Archived,
    Known,
    Placed,
    Published,
    Stored,
    Versioned,
    compare_events,
    compare_versions,
)

NEXT = {0: 100, 1: 100}


def whole(event_id: str = "e", offset: int = 5) -> Known:
    """An event that stands everywhere, as it should."""
    return Known(
        archived=[Archived(event_id, "d", 0, offset, "events.domain.low/0", offset)],
        published=[Published(event_id, f"events.domain.low/0/{offset}", is_settled=True)],
        stored=[Stored(event_id, "d", None, None)],
        placed=[Placed(event_id, 0, offset)],
    )


def found(known: Known) -> list[Kind]:
    return [anomaly.kind for anomaly in compare_events({"e": known}, NEXT).anomalies]


def test_an_event_that_stands_everywhere_is_right() -> None:
    compared = compare_events({"e": whole()}, NEXT)
    assert (compared.events, compared.in_flight, compared.anomalies) == (1, 0, [])


def lose_row(known: Known) -> None:
    known.stored.clear()
    known.placed.clear()


def lose_record(known: Known) -> None:
    known.archived.clear()


def lose_record_and_its_source(known: Known) -> None:
    known.archived.clear()
    known.published.clear()


def lose_row_and_record(known: Known) -> None:
    lose_row(known)
    lose_record(known)


def lose_position(known: Known) -> None:
    known.placed.clear()


def lose_row_alone(known: Known) -> None:
    known.stored.clear()
    known.archived.clear()
    known.published.clear()


def invent_position(known: Known) -> None:
    known.placed.append(Placed("e", 0, 6))


@pytest.mark.parametrize(
    "plant",
    [
        lose_row,
        lose_record,
        lose_record_and_its_source,
        lose_row_and_record,
        lose_position,
        lose_row_alone,
        invent_position,
    ],
)
def test_what_is_missing_in_one_place_is_a_hole(plant: Callable[[Known], None]) -> None:
    known = whole()
    plant(known)
    assert set(found(known)) == {Kind.HOLE}


def store_twice(known: Known) -> None:
    known.stored.append(known.stored[0])


def change_bytes(known: Known) -> None:
    known.stored[0] = known.stored[0]._replace(digest="other")


def archive_in_two_partitions(known: Known) -> None:
    known.archived.append(known.archived[0]._replace(partition=1))
    known.placed.append(Placed("e", 1, 5))


@pytest.mark.parametrize("plant", [store_twice, change_bytes, archive_in_two_partitions])
def test_two_events_under_one_id_are_a_duplicate(plant: Callable[[Known], None]) -> None:
    known = whole()
    plant(known)
    assert found(known) == [Kind.DUPLICATE]


def test_a_redelivery_is_neither_hole_nor_duplicate() -> None:
    known = whole()
    known.archived.append(known.archived[0]._replace(offset=9))
    known.placed.append(Placed("e", 0, 9))
    assert found(known) == []


def test_an_older_copy_that_compaction_removed_is_no_hole() -> None:
    known = whole(offset=9)
    known.placed.append(Placed("e", 0, 5))
    assert found(known) == []


def test_a_record_behind_the_sink_is_in_flight() -> None:
    known = whole(offset=100)
    lose_row(known)
    compared = compare_events({"e": known}, NEXT)
    assert (compared.in_flight, compared.anomalies) == (1, [])


def test_a_record_behind_the_archive_is_in_flight() -> None:
    known = Known(published=[Published("e", "events.domain.low/0/7", is_settled=False)])
    compared = compare_events({"e": known}, NEXT)
    assert (compared.in_flight, compared.anomalies) == (1, [])


def test_an_appended_event_in_the_outbox_is_in_flight() -> None:
    known = Known(stored=[Stored("e", "d", "Analysis/a", 1)], is_in_outbox=True)
    compared = compare_events({"e": known}, NEXT)
    assert (compared.in_flight, compared.anomalies) == (1, [])
    assert compared.versioned == [Versioned("Analysis/a", 1, "e", None, -1)]


def test_a_relayed_event_behind_the_archive_is_in_flight() -> None:
    known = Known(
        stored=[Stored("e", "d", "Analysis/a", 1)],
        published=[Published("e", "events.domain.high/0/7", is_settled=False)],
    )
    compared = compare_events({"e": known}, NEXT)
    assert (compared.in_flight, compared.anomalies) == (1, [])


def test_the_order_of_versions_is_that_of_the_first_copy_in_its_source() -> None:
    known = whole()
    known.stored[0] = Stored("e", "d", "Analysis/a", 3)
    known.archived.insert(0, known.archived[0]._replace(offset=50, source_offset=50))
    [versioned] = compare_events({"e": known}, NEXT).versioned
    assert (versioned.source, versioned.source_offset) == ("events.domain.low/0", 5)


def history(*versions: int) -> list[Versioned]:
    return [
        Versioned("Analysis/a", version, f"e-{version}", "events.domain.high/0", offset)
        for offset, version in enumerate(versions)
    ]


def test_versions_from_one_on_in_order_are_right() -> None:
    assert compare_versions(history(1, 2, 3)) == []


def test_a_version_that_nobody_has_is_a_gap() -> None:
    [gap] = compare_versions(history(1, 2, 5))
    assert gap == Anomaly(Kind.VERSION_GAP, "Analysis/a", "no version 3, 4 before version 5")


def test_a_history_that_does_not_begin_with_one_has_a_gap() -> None:
    assert [it.kind for it in compare_versions(history(2, 3))] == [Kind.VERSION_GAP]


def test_a_later_version_that_stands_earlier_is_disorder() -> None:
    [disorder] = compare_versions(history(1, 3, 2))
    assert disorder.kind is Kind.DISORDER
    assert disorder.detail == "version 3 stands before version 2 in events.domain.high/0"


def test_an_aggregate_in_two_source_partitions_is_disorder() -> None:
    events = history(1, 2)
    events[1] = events[1]._replace(source="events.domain.high/1", source_offset=9)
    assert [it.kind for it in compare_versions(events)] == [Kind.DISORDER]


def test_a_version_that_two_events_have_is_a_duplicate() -> None:
    events = [*history(1, 2), Versioned("Analysis/a", 2, "other", "events.domain.high/0", 9)]
    assert [it.kind for it in compare_versions(events)] == [Kind.DUPLICATE]


def test_versions_that_are_not_relayed_yet_have_no_order_and_no_gap() -> None:
    events = [*history(1, 2), Versioned("Analysis/a", 3, "e-3", None, -1)]
    assert compare_versions(events) == []


def test_all_anomalies_are_counted_and_the_first_are_named() -> None:
    findings = Findings()
    findings.add(Anomaly(Kind.HOLE, f"e-{number}", "gone") for number in range(NAMED + 5))
    assert findings.counts[Kind.HOLE] == NAMED + 5
    assert [it.subject for it in findings.named] == [f"e-{number}" for number in range(NAMED)]
