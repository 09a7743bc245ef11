from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from gateway.broadcast import Broadcast
from gateway.broadcast_log import BroadcastLog, Start
from gateway.cursor import CursorPosition, Gap
from gateway.follower import Allowance, Follower
from streams.records import TopicPartition

P0 = TopicPartition("broadcast.project", 0)
P1 = TopicPartition("broadcast.project", 1)
EPOCHS = {"broadcast.project": "e"}
PLENTY = Allowance(packets=1_000, size_bytes=10**6, look=1_000)


def new_log(max_records: int = 1_000) -> BroadcastLog:
    return BroadcastLog({P0: 0, P1: 0}, max_records=max_records, max_bytes=10**9)


def write(
    log: BroadcastLog, room: str, source: TopicPartition = P0, event_type: str = "analysis.started"
) -> str:
    offset = log.partitions[source].end
    event_id = f"{room}@{source.partition}:{offset}"
    log.append(
        Broadcast(
            source=source,
            offset=offset,
            time_ms=offset,
            room=room,
            type=event_type,
            id=event_id,
            packet="x" * 10,
        )
    )
    return event_id


def follower_of(log: BroadcastLog, *rooms: str) -> Follower:
    follower = Follower(positions=log.start_from_now().offsets)
    for room in rooms:
        follower.join(room, log.start_from_now())
    return follower


def ids(broadcasts: Sequence[Broadcast]) -> list[str]:
    return [broadcast.id for broadcast in broadcasts]


def take(
    follower: Follower, log: BroadcastLog, allowance: Allowance = PLENTY
) -> tuple[list[str], tuple[Gap, ...]]:
    portion = follower.take(log, allowance)
    return ids(portion.broadcasts), portion.gaps


def at(log: BroadcastLog, offset: int) -> Start:
    return log.start_from_cursor({P0: CursorPosition("e", offset)}, EPOCHS)


def test_sees_joined_rooms_only_and_from_the_join_on() -> None:
    log = new_log()
    write(log, "project.a")
    follower = follower_of(log, "project.a")
    expected = write(log, "project.a")
    write(log, "project.b")
    assert take(follower, log) == ([expected], ())
    assert take(follower, log) == ([], ())


def test_sees_nothing_before_a_room_is_joined_or_after_it_is_left() -> None:
    log = new_log()
    follower = follower_of(log)
    write(log, "project.a")
    assert take(follower, log) == ([], ())
    follower.join("project.a", log.start_from_now())
    follower.leave("project.a")
    write(log, "project.a")
    assert take(follower, log) == ([], ())


def test_a_first_join_with_a_cursor_gets_exactly_what_came_after_it() -> None:
    log = new_log()
    written = [write(log, "project.a") for _ in range(5)]
    follower = follower_of(log)
    follower.join("project.a", at(log, 2))
    assert take(follower, log) == (written[2:], ())


def test_a_room_joined_later_with_a_cursor_catches_up_and_others_do_not_repeat() -> None:
    log = new_log()
    follower = follower_of(log, "project.a")
    a = [write(log, "project.a"), write(log, "project.a")]
    b = [write(log, "project.b"), write(log, "project.b")]
    assert take(follower, log) == (a, ())
    follower.join("project.b", at(log, 0))
    later = [write(log, "project.a"), write(log, "project.b")]
    assert take(follower, log) == ([*b, *later], ())


def test_a_room_joined_by_a_client_that_lags_starts_at_the_join() -> None:
    log = new_log()
    follower = follower_of(log, "project.a")
    a = write(log, "project.a")
    write(log, "project.b")
    follower.join("project.b", log.start_from_now())
    b = write(log, "project.b")
    assert take(follower, log) == ([a, b], ())


def test_patterns_choose_types_from_the_first_subscription_on() -> None:
    log = new_log()
    follower = follower_of(log, "project.a")
    follower.subscribe(["analysis.*"])
    wanted = write(log, "project.a", event_type="analysis.file.processed")
    write(log, "project.a", event_type="setup.session.started")
    assert take(follower, log) == ([wanted], ())
    follower.unsubscribe(["analysis.*"])
    write(log, "project.a", event_type="analysis.started")
    assert take(follower, log) == ([], ())
    follower.subscribe(["*"])
    everything = write(log, "project.a", event_type="setup.session.started")
    assert take(follower, log) == ([everything], ())


def test_a_portion_keeps_its_bounds_and_the_rest_follows_in_order() -> None:
    log = new_log()
    follower = follower_of(log, "project.a")
    written = [write(log, "project.a") for _ in range(10)]
    by_count = follower.take(log, Allowance(packets=3, size_bytes=10**6, look=100))
    by_bytes = follower.take(log, Allowance(packets=100, size_bytes=15, look=100))
    by_look = follower.take(log, Allowance(packets=100, size_bytes=10**6, look=1))
    rest = follower.take(log, PLENTY)
    assert ids(by_count.broadcasts) == written[:3]
    assert ids(by_bytes.broadcasts) == written[3:5]
    assert ids(by_look.broadcasts) == written[5:6]
    assert ids(rest.broadcasts) == written[6:]
    assert (by_count.more, by_bytes.more, by_look.more, rest.more) == (True, True, True, False)


def test_a_busy_partition_does_not_starve_another() -> None:
    log = new_log()
    follower = follower_of(log, "project.a", "project.b")
    for _ in range(100):
        write(log, "project.a", P0)
    quiet = write(log, "project.b", P1)
    one = Allowance(packets=1, size_bytes=10**6, look=100)
    first_two = [*take(follower, log, one)[0], *take(follower, log, one)[0]]
    assert quiet in first_two


def test_what_left_the_log_unseen_is_named_exactly() -> None:
    log = new_log(max_records=3)
    follower = follower_of(log, "project.a")
    written = [write(log, "project.a") for _ in range(5)]
    seen, (gap,) = take(follower, log)
    assert seen == written[2:]
    assert (gap.source, gap.start, gap.stop) == (P0, 0, 2)
    assert take(follower, log) == ([], ())


def test_what_left_the_log_before_a_room_was_joined_is_no_gap() -> None:
    log = new_log(max_records=2)
    follower = follower_of(log, "project.a")
    for _ in range(5):
        write(log, "project.b")
    follower.leave("project.a")
    follower.join("project.b", log.start_from_now())
    assert take(follower, log) == ([], ())


@given(
    st.lists(st.sampled_from(["write a", "write b", "take", "drop"]), max_size=60),
    st.integers(1, 4),
)
def test_whatever_breaks_in_between_every_room_is_complete_and_in_order(
    steps: list[str], packets: int
) -> None:
    log = new_log()
    follower = follower_of(log, "project.a", "project.b")
    written: dict[str, list[str]] = {"a": [], "b": []}
    received: dict[str, list[str]] = {"a": [], "b": []}
    cursor = dict(follower.positions)

    def deliver(allowance: Allowance) -> None:
        for broadcast in follower.take(log, allowance).broadcasts:
            cursor[broadcast.source] = broadcast.offset + 1
            received[broadcast.room[-1]].append(broadcast.id)

    for step in steps:
        match step.split():
            case ["write", name]:
                written[name].append(write(log, f"project.{name}"))
            case ["take"]:
                deliver(Allowance(packets=packets, size_bytes=10**6, look=2))
            case _:
                resumed = {source: CursorPosition("e", at_) for source, at_ in cursor.items()}
                follower = follower_of(log)
                for name in ("a", "b"):
                    follower.join(f"project.{name}", log.start_from_cursor(resumed, EPOCHS))
    while follower.take(log, Allowance(packets=0, size_bytes=1, look=1)).more:
        deliver(PLENTY)
    assert received == written
