from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from gateway.broadcast import Broadcast, read_broadcast
from gateway.errors import NotABroadcast
from schemas.headers import AGGREGATE, COMPRESSIBLE
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


def compressible(body: Mapping[str, Any]) -> Broadcast:
    headers = ((AGGREGATE, b"Order/1"), (COMPRESSIBLE, b"1"))
    return read_broadcast(record(b"project.a", orjson.dumps(body))._replace(headers=headers), "e")


def test_frames_tell_the_same_state_when_their_type_and_fields_are_the_same() -> None:
    body = {"id": "e1", "type": "order.progressed", "data": {"a": 1, "b": 2}}
    state = compressible(body).state
    assert state is not None
    assert state == compressible(body | {"data": {"b": 3, "a": None}}).state
    assert state != compressible(body | {"data": {"a": 1}}).state
    assert state != compressible(body | {"type": "order.moved"}).state
    assert read_broadcast(record(b"project.a", orjson.dumps(body)), "e").state is None


@pytest.mark.parametrize("data", [None, [{"a": 1}, {"b": 2}], "text", 7])
def test_a_frame_whose_data_are_no_object_counts(data: Any) -> None:
    assert compressible({"id": "e1", "type": "order.progressed", "data": data}).state is None


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
