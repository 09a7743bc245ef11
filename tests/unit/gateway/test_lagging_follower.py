"""A client that lags sees the last of each run, told how many it stands for."""

from collections.abc import Sequence
from typing import NamedTuple

import orjson
from hypothesis import given
from hypothesis import strategies as st

from gateway.broadcast import Broadcast, read_broadcast
from gateway.broadcast_log import BroadcastLog
from gateway.cursor import CursorPosition, Gap
from gateway.follower import Allowance, Follower
from schemas.headers import AGGREGATE, COMPRESSIBLE
from streams.records import Headers, RawRecord, TopicPartition

SOURCE = TopicPartition("broadcast.project", 0)
EPOCHS = {"broadcast.project": "e"}
PLENTY = Allowance(packets=1_000, size_bytes=10**6, look=1_000)
STATE, COUNTS = "order.progressed", "order.placed"


class Seen(NamedTuple):
    """A frame as a client sees it."""

    offset: int
    stands_for: int = 1
    first: str | None = None


class Room:
    """A log of one partition, and a client of its rooms that may be `lag` records behind."""

    def __init__(self, lag: int | None = 0, *, max_records: int = 1_000) -> None:
        self.log = BroadcastLog({SOURCE: 0}, max_records=max_records, max_bytes=10**9)
        self.lag = lag
        self.follower = self.client()
        self.written: list[Broadcast] = []
        self.join()

    def client(self) -> Follower:
        return Follower(positions=self.log.start_from_now().offsets, lag=self.lag)

    def join(self, cursor: int = 0) -> None:
        start = self.log.start_from_cursor({SOURCE: CursorPosition("e", cursor)}, EPOCHS)
        for name in ("a", "b"):
            self.follower.join(f"project.{name}", start)

    def resume(self, cursor: int) -> None:
        self.follower = self.client()
        self.join(cursor)

    def write(
        self,
        kind: str = STATE,
        aggregate: str | None = "Order/1",
        room: str = "a",
        fields: Sequence[str] = ("step",),
    ) -> int:
        offset = self.log.partitions[SOURCE].end
        body = {"id": f"e{offset}", "type": kind, "data": dict.fromkeys(fields, offset)}
        headers: Headers = ()
        if aggregate is not None:
            headers = ((AGGREGATE, aggregate.encode()),)
        if kind != COUNTS:
            headers += ((COMPRESSIBLE, b"1"),)
        record = RawRecord(
            topic=SOURCE.topic,
            partition=SOURCE.partition,
            offset=offset,
            timestamp_ms=offset,
            key=f"project.{room}".encode(),
            value=orjson.dumps(body),
            headers=headers,
        )
        self.written.append(read_broadcast(record, "e"))
        self.log.append(self.written[-1])
        return offset

    def take(self, allowance: Allowance = PLENTY) -> list[Seen]:
        return [seen(one) for one in self.follower.take(self.log, allowance).broadcasts]

    def gaps(self) -> tuple[Gap, ...]:
        return self.follower.take(self.log, PLENTY).gaps


def seen(broadcast: Broadcast) -> Seen:
    """What the packet says."""
    name, body = orjson.loads(broadcast.packet.removeprefix("2/ws,"))
    assert (name, body["id"], body["position"]["offset"]) == (
        broadcast.type,
        broadcast.id,
        broadcast.offset,
    )
    return Seen(broadcast.offset, body.get("compressedFrom", 1), body.get("compressedFirst"))


def test_a_run_is_shown_by_its_last_frame_at_the_place_of_that_frame() -> None:
    room = Room()
    for kind, aggregate in ((STATE, "Order/1"), (STATE, "Order/2"), (STATE, "Order/1")):
        room.write(kind, aggregate)
    assert room.take() == [Seen(1), Seen(2, 2, "e0")]
    assert room.follower.positions == {SOURCE: 3}


def test_a_frame_says_how_many_it_stands_for_and_which_was_the_first() -> None:
    room = Room()
    for _ in range(4):
        room.write()
    assert room.take() == [Seen(3, 4, "e0")]


def test_a_client_that_keeps_up_or_a_gateway_that_compresses_nothing_shows_every_frame() -> None:
    for room in (Room(lag=3), Room(lag=None)):
        for _ in range(3):
            room.write()
        assert room.take() == [Seen(0), Seen(1), Seen(2)]


def test_any_other_frame_of_the_aggregate_in_the_room_ends_a_run() -> None:
    room = Room()
    room.write()
    room.write(COUNTS)
    room.write()
    room.write("order.moved")
    room.write()
    room.write(fields=("step", "note"))
    assert [one.offset for one in room.take()] == [0, 1, 2, 3, 4, 5]


def test_frames_of_other_rooms_and_aggregates_and_of_none_end_no_run() -> None:
    room = Room()
    room.write()
    room.write(COUNTS, "Order/2")
    room.write(COUNTS, "Order/1", room="b")
    room.write(COUNTS, "")
    room.write()
    assert room.take() == [Seen(1), Seen(2), Seen(3), Seen(4, 2, "e0")]


def test_a_frame_of_a_route_that_did_not_say_what_it_is_about_ends_all_runs_of_its_room() -> None:
    room = Room()
    room.write()
    room.write(COUNTS, aggregate=None)
    room.write()
    assert room.take() == [Seen(0), Seen(1), Seen(2)]


def test_frames_about_no_aggregate_are_never_left_out() -> None:
    room = Room()
    room.write(aggregate="")
    room.write(aggregate="")
    assert room.take() == [Seen(0), Seen(1)]


def test_a_frame_counts_what_earlier_portions_left_out() -> None:
    room = Room()
    room.write()
    room.write(COUNTS, "Order/2")
    assert room.take(Allowance(packets=1, size_bytes=10**6, look=1)) == [Seen(0)]
    room.write()
    room.write(COUNTS, "Order/3")
    room.write()
    one = Allowance(packets=1, size_bytes=10**6, look=100)
    assert [room.take(one) for _ in range(3)] == [[Seen(1)], [Seen(3)], [Seen(4, 2, "e2")]]


def test_what_was_left_out_is_in_the_gap_when_its_frame_is_gone_too() -> None:
    room = Room(max_records=3)
    room.write()
    room.write(COUNTS, "Order/2")
    room.write()
    assert room.take(Allowance(packets=1, size_bytes=10**6, look=100)) == [Seen(1)]
    for _ in range(3):
        room.write(COUNTS, "Order/3")
    (gap,) = room.gaps()
    assert (gap.start, gap.stop) == (0, 3)


def test_a_room_that_was_left_leaves_nothing_to_be_told_later() -> None:
    room = Room()
    room.write()
    room.write(COUNTS, "Order/2")
    room.write()
    room.take(Allowance(packets=1, size_bytes=10**6, look=100))
    room.follower.leave("project.a")
    room.follower.join(
        "project.a", room.log.start_from_cursor({SOURCE: CursorPosition("e", 2)}, EPOCHS)
    )
    assert room.take() == [Seen(2)]


WRITES = st.tuples(
    st.sampled_from([STATE, STATE, STATE, STATE, "order.moved", COUNTS]),
    st.sampled_from(["Order/1", "Order/1", "Order/1", "Order/2", ""]),
    st.sampled_from(["a", "a", "b"]),
)
STEPS = st.lists(st.one_of(WRITES, WRITES, st.sampled_from(["take", "drop"])), max_size=60)


@given(STEPS, st.integers(1, 4), st.integers(0, 5))
def test_whatever_breaks_in_between_only_what_a_later_frame_says_anew_is_left_out(
    steps: list[tuple[str, str, str] | str], packets: int, lag: int
) -> None:
    room = Room(lag)
    received: list[Seen] = []

    def deliver(allowance: Allowance) -> None:
        received.extend(room.take(allowance))

    for step in steps:
        if isinstance(step, tuple):
            room.write(*step)
        elif step == "take":
            deliver(Allowance(packets=packets, size_bytes=10**6, look=5))
        else:
            room.resume(received[-1].offset + 1 if received else 0)
    while room.follower.positions[SOURCE] < room.log.partitions[SOURCE].end:
        deliver(PLENTY)
    offsets = [one.offset for one in received]
    assert offsets == sorted(set(offsets)), "something came twice, or out of order"
    left_out = [one for one in room.written if one.offset not in set(offsets)]
    assert all(is_said_anew(one, room.written, set(offsets)) for one in left_out)
    told = sum(one.stands_for - 1 for one in received)
    assert told == len(left_out) if "drop" not in steps else told <= len(left_out)


def is_said_anew(left_out: Broadcast, written: list[Broadcast], received: set[int]) -> bool:
    """Whether a later frame that was received says it anew, with only its run in between."""
    if not left_out.aggregate:
        return False
    for later in written[left_out.offset + 1 :]:
        if (later.room, later.aggregate) == (left_out.room, left_out.aggregate):
            if later.state != left_out.state:
                return False
            if later.offset in received:
                return True
    return False
