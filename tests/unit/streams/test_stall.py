"""A partition that stands still with work to do is named, and no other one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.records import TopicPartition
from streams.stall import StallDetector, Standing

SOURCE, OTHER = TopicPartition("events.domain.low", 0), TopicPartition("events.domain.low", 1)


def at(
    position: int, end: int, source: TopicPartition = SOURCE, in_hand: object = None
) -> Standing:
    return Standing(subscription="main", source=source, position=position, end=end, in_hand=in_hand)


def test_work_that_stands_still_is_named_when_the_time_is_over() -> None:
    detector = StallDetector(20)
    assert detector.look([at(5, 9)], 100) == []
    assert detector.look([at(5, 12)], 119.9) == []
    (stall,) = detector.look([at(5, 15)], 120)
    assert (stall.standing.source, stall.standing.lag, stall.for_s) == (SOURCE, 10, 20)


def test_a_lag_that_does_not_grow_is_a_stall_as_well() -> None:
    detector = StallDetector(20)
    assert detector.look([at(5, 6)], 0) == []
    assert len(detector.look([at(5, 6)], 20)) == 1


def test_an_idle_partition_is_none_however_long() -> None:
    detector = StallDetector(20)
    for now in range(0, 1_000, 10):
        assert detector.look([at(9, 9)], now) == []
    assert detector.look([at(9, 10)], 1_000) == []
    assert len(detector.look([at(9, 10)], 1_020)) == 1


def test_a_partition_that_gets_on_is_none_however_far_it_is_behind() -> None:
    detector = StallDetector(20)
    for now in range(0, 1_000, 10):
        assert detector.look([at(now, 1_000_000)], now) == []


def test_another_event_of_the_same_batch_is_progress() -> None:
    detector = StallDetector(20)
    for now in range(0, 200, 10):
        assert detector.look([at(5, 50, in_hand=now)], now) == []
    assert len(detector.look([at(5, 50, in_hand=190)], 210)) == 1


def test_one_stalled_partition_beside_one_that_gets_on() -> None:
    detector = StallDetector(20)
    detector.look([at(5, 9), at(1, 99, OTHER)], 0)
    stalls = detector.look([at(5, 9), at(2, 99, OTHER)], 20)
    assert [stall.standing.source for stall in stalls] == [SOURCE]


def test_a_stall_ends_when_the_partition_gets_on() -> None:
    detector = StallDetector(20)
    detector.look([at(5, 9)], 0)
    assert detector.look([at(5, 9)], 20)
    assert detector.look([at(6, 9)], 22) == []
    assert detector.look([at(6, 9)], 41) == []


def test_a_partition_that_went_away_begins_anew_when_it_comes_back() -> None:
    detector = StallDetector(20)
    detector.look([at(5, 9)], 0)
    detector.look([], 10)
    assert detector.look([at(5, 9)], 20) == []
    assert detector.look([at(5, 9)], 40) != []


def test_what_is_forgotten_begins_anew() -> None:
    detector = StallDetector(20)
    detector.look([at(5, 9)], 0)
    detector.forget()
    assert detector.look([at(5, 9)], 25) == []


def test_time_in_which_nobody_knows_the_ends_counts_for_nothing_and_the_rest_is_kept() -> None:
    detector = StallDetector(20)
    detector.look([at(5, 9)], 100)
    detector.look([at(5, 9)], 115)
    detector.skip(120)
    detector.skip(200)
    assert detector.look([at(5, 9)], 204) == []
    (stall,) = detector.look([at(5, 9)], 205)
    assert stall.for_s == 20


@given(st.lists(st.tuples(st.floats(0, 9), st.integers(0, 3), st.integers(0, 3)), max_size=50))
def test_whatever_is_named_has_not_moved_for_the_whole_time(
    looks: list[tuple[float, int, int]],
) -> None:
    detector, now, position, end = StallDetector(20), 0.0, 0, 0
    history: list[tuple[float, int, bool]] = []
    for passed, done, came in looks:
        now, end = now + passed, end + came
        position = min(end, position + done)
        history.append((now, position, position < end))
        named = bool(detector.look([at(position, end)], now))
        stood = [
            earlier
            for earlier, place, has_work in history
            if all(other == position and works for when, other, works in history if when >= earlier)
            and place == position
            and has_work
        ]
        assert named == (bool(stood) and now - min(stood) >= 20)
