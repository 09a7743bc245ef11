import orjson
import pytest

from gateway.broadcast import read_broadcast
from gateway.errors import NotABroadcast
from streams.records import RawRecord


def record(key: bytes | None, value: bytes | None) -> RawRecord:
    return RawRecord(
        topic="broadcast.project",
        partition=2,
        offset=41,
        timestamp_ms=1_700,
        key=key,
        value=value,
    )


def test_the_packet_is_the_event_with_its_body_and_position() -> None:
    body = {"id": "e1", "type": "analysis.started", "data": {"path": "é"}, "timestamp": "t"}
    broadcast = read_broadcast(record(b"project.a", orjson.dumps(body)), "epoch-1")
    assert broadcast.packet.startswith("2/ws,")
    name, sent = orjson.loads(broadcast.packet.removeprefix("2/ws,"))
    assert name == "analysis.started"
    assert sent == body | {
        "position": {
            "epoch": "epoch-1",
            "topic": "broadcast.project",
            "partition": 2,
            "offset": 41,
            "time": 1_700,
        }
    }
    assert broadcast.room == "project.a"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, b'{"id":"e","type":"t"}'),
        (b"project.a", None),
        (b"project.a", b"\x00\x01"),
        (b"project.a", b"[]"),
        (b"project.a", b'{"id":1,"type":"t"}'),
    ],
)
def test_bytes_that_are_no_broadcast_are_refused_with_their_place(
    key: bytes | None, value: bytes | None
) -> None:
    with pytest.raises(NotABroadcast, match=r"broadcast\.project/2 offset 41"):
        read_broadcast(record(key, value), "epoch-1")
