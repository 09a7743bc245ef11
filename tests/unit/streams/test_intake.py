"""Each record is taken once and in order, whatever a rebalance leaves in flight."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.records import TopicPartition
from streams.runtime.intake import READINGS, Intake, Verdict

SOURCE = TopicPartition("t", 0)
OTHER = TopicPartition("t", 1)


def opened(start: int = 5) -> Intake:
    intake = Intake()
    intake.open({SOURCE: start})
    return intake


def test_records_are_taken_in_order_from_where_work_begins() -> None:
    intake = opened()
    assert [intake.judge(SOURCE, offset) for offset in (4, 5, 6, 5, 7)] == [
        Verdict.LEAVE,
        Verdict.TAKE,
        Verdict.TAKE,
        Verdict.LEAVE,
        Verdict.TAKE,
    ]


def test_a_record_that_was_fetched_for_an_earlier_assignment_hides_none_before_it() -> None:
    intake = opened()
    assert intake.judge(SOURCE, 7) is Verdict.READ_AGAIN
    assert intake.next_offset(SOURCE) == 5
    intake.asked(SOURCE)
    assert [intake.judge(SOURCE, offset) for offset in (5, 6, 7)] == [Verdict.TAKE] * 3


def test_what_stands_behind_a_jump_is_left_until_the_log_was_read_again() -> None:
    intake = opened()
    intake.judge(SOURCE, 7)
    assert intake.judge(SOURCE, 8) is Verdict.LEAVE
    assert intake.judge(SOURCE, 9) is Verdict.LEAVE


def test_a_hole_in_the_log_is_believed_when_it_is_shown_again_and_again() -> None:
    intake = opened()
    for _ in range(READINGS):
        assert intake.judge(SOURCE, 9) is Verdict.READ_AGAIN
        intake.asked(SOURCE)
    assert intake.judge(SOURCE, 9) is Verdict.TAKE
    assert intake.next_offset(SOURCE) == 10


def test_nothing_is_taken_before_the_tables_are_recovered_and_it_is_fetched_again() -> None:
    intake = Intake()
    assert intake.judge(SOURCE, 5) is Verdict.LEAVE
    assert intake.judge(OTHER, 0) is Verdict.LEAVE
    assert intake.open({SOURCE: 5}) == {SOURCE}
    assert intake.judge(SOURCE, 5) is Verdict.TAKE


def test_nothing_is_taken_while_partitions_are_given_up() -> None:
    intake = opened()
    intake.close()
    assert intake.judge(SOURCE, 5) is Verdict.LEAVE
    assert intake.next_offset(SOURCE) is None


def test_a_partition_of_others_is_left() -> None:
    assert opened().judge(TopicPartition("t", 1), 5) is Verdict.LEAVE


def test_each_assignment_has_a_number_and_begins_anew() -> None:
    intake = opened()
    first = intake.assignment
    intake.close()
    assert intake.assignment != first
    assert intake.open({OTHER: 0}) == frozenset()
    assert intake.judge(SOURCE, 5) is Verdict.LEAVE
    assert intake.judge(OTHER, 0) is Verdict.TAKE


@given(
    offsets=st.lists(st.integers(1, 3), min_size=1, max_size=12),
    stale=st.lists(st.integers(0, 40), max_size=READINGS),
)
def test_every_record_is_taken_once_in_order_among_any_stale_ones(
    offsets: list[int], stale: list[int]
) -> None:
    """`offsets` are the steps between the offsets of the log: above 1 the log has a hole."""
    log = [sum(offsets[: index + 1]) for index in range(len(offsets))]
    intake = opened(start=log[0])
    taken: list[int] = []
    waiting = [offset for offset in stale if offset in log]
    position = log[0]
    for _ in range(100 * len(log) + len(waiting)):
        if waiting:
            offset = waiting.pop(0)
        else:
            ahead = [known for known in log if known >= position]
            if not ahead:
                break
            offset = ahead[0]
            position = offset + 1
        match intake.judge(SOURCE, offset):
            case Verdict.TAKE:
                taken.append(offset)
            case Verdict.READ_AGAIN:
                position = intake.next_offset(SOURCE) or 0
                intake.asked(SOURCE)
            case Verdict.LEAVE:
                pass
    assert taken == log
