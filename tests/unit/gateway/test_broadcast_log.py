import orjson
from hypothesis import given
from hypothesis import strategies as st

from gateway.broadcast import Broadcast, read_broadcast
from gateway.broadcast_log import BroadcastLog, caught_up, history_starts
from gateway.cursor import CursorPosition, GapReason
from streams.records import RawRecord, TopicPartition

PROJECT = TopicPartition("broadcast.project", 0)
SYSTEM = TopicPartition("broadcast.system", 0)
EPOCHS = {"broadcast.project": "p1", "broadcast.system": "s1"}


def broadcast(
    offset: int,
    *,
    source: TopicPartition = PROJECT,
    room: str = "project.a",
    event_id: str | None = None,
) -> Broadcast:
    body = {"id": event_id or f"{source}-{offset}", "type": "analysis.started", "data": {}}
    record = RawRecord(
        topic=source.topic,
        partition=source.partition,
        offset=offset,
        timestamp_ms=1_000 + offset,
        key=room.encode(),
        value=orjson.dumps(body),
    )
    return read_broadcast(record, EPOCHS[source.topic])


def log_of(*broadcasts: Broadcast, max_records: int = 100, max_bytes: int = 10**6) -> BroadcastLog:
    log = BroadcastLog({PROJECT: 0, SYSTEM: 0}, max_records=max_records, max_bytes=max_bytes)
    for one in broadcasts:
        log.append(one)
    return log


def held(log: BroadcastLog, source: TopicPartition = PROJECT, offset: int = 0) -> list[int]:
    return [one.offset for one in log.partitions[source].after(offset)]


def test_gives_what_follows_an_offset_in_order() -> None:
    log = log_of(broadcast(3), broadcast(5), broadcast(9))
    assert held(log) == [3, 5, 9]
    assert held(log, offset=4) == [5, 9]
    assert held(log, offset=10) == []


def test_an_event_is_held_once_for_each_room() -> None:
    log = log_of(broadcast(0, event_id="x"))
    assert not log.append(broadcast(1, event_id="x"))
    assert log.append(broadcast(2, event_id="x", room="project.b"))
    assert held(log) == [0, 2]
    assert log.repeats_dropped == 1
    assert log.partitions[PROJECT].end == 3


def test_the_oldest_of_all_partitions_goes_first_when_there_are_too_many() -> None:
    log = log_of(
        broadcast(0), broadcast(0, source=SYSTEM, room="system"), broadcast(1), max_records=2
    )
    assert held(log, PROJECT) == [1]
    assert held(log, SYSTEM) == [0]
    assert log.partitions[PROJECT].first == 1
    assert log.partitions[SYSTEM].first == 0


def test_bytes_are_bounded_and_the_newest_always_stays() -> None:
    size = broadcast(0).size
    log = log_of(*(broadcast(offset) for offset in range(5)), max_bytes=2 * size)
    assert held(log) == [3, 4]
    assert log.size_bytes == 2 * size
    assert held(log_of(broadcast(0), broadcast(1), max_bytes=1)) == [1]


def test_an_event_that_left_the_log_is_taken_in_again() -> None:
    log = log_of(broadcast(0, event_id="x"), broadcast(1), max_records=1)
    assert log.append(broadcast(2, event_id="x"))


@given(st.lists(st.integers(0, 3), min_size=1, max_size=3_000), st.integers(1, 50))
def test_what_is_held_is_the_newest_however_much_went_through(
    rooms: list[int], max_records: int
) -> None:
    log = log_of(
        *(broadcast(offset, room=f"project.{room}") for offset, room in enumerate(rooms)),
        max_records=max_records,
    )
    assert held(log) == list(range(len(rooms)))[-max_records:]
    assert log.partitions[PROJECT].first == max(0, len(rooms) - max_records)


def test_starts_from_now_behind_everything() -> None:
    assert log_of(broadcast(4)).start_from_now().offsets == {PROJECT: 5, SYSTEM: 0}


def test_starts_at_the_first_broadcast_of_a_time() -> None:
    log = log_of(broadcast(0), broadcast(1), broadcast(2))
    assert log.start_at_time(1_001).offsets[PROJECT] == 1
    assert log.start_at_time(9_999).offsets[PROJECT] == 3


def test_starts_from_a_cursor_and_reads_unknown_partitions_from_their_start() -> None:
    log = log_of(broadcast(0), broadcast(1))
    start = log.start_from_cursor({PROJECT: CursorPosition("p1", 1)}, EPOCHS)
    assert start.offsets == {PROJECT: 1, SYSTEM: 0}
    assert start.gaps == ()


def test_a_cursor_of_an_earlier_epoch_is_a_gap_and_starts_at_the_beginning() -> None:
    log = log_of(broadcast(0), broadcast(1))
    start = log.start_from_cursor({PROJECT: CursorPosition("older", 7)}, EPOCHS)
    assert start.offsets[PROJECT] == 0
    (gap,) = start.gaps
    assert (gap.start, gap.stop, gap.reason) == (7, None, GapReason.NEW_EPOCH)


def test_a_cursor_from_a_node_that_was_ahead_begins_at_the_end_without_a_gap() -> None:
    start = log_of(broadcast(0)).start_from_cursor({PROJECT: CursorPosition("p1", 7)}, EPOCHS)
    assert start.offsets[PROJECT] == 1
    assert start.gaps == ()


def test_history_is_all_that_is_kept_or_a_bounded_share_of_each_partition() -> None:
    beginning, end = {PROJECT: 100, SYSTEM: 0}, {PROJECT: 1_000, SYSTEM: 100}
    assert history_starts(beginning, end, 5_000) == beginning
    starts = history_starts(beginning, end, 500)
    assert starts == {PROJECT: 550, SYSTEM: 50}


def test_is_caught_up_when_the_last_record_was_passed_over() -> None:
    log = log_of(broadcast(0))
    assert not caught_up(log, {PROJECT: 2})
    log.pass_over(PROJECT, 1)
    assert caught_up(log, {PROJECT: 2})
