"""One broadcast record, made ready once for every client that may see it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import orjson

from gateway.errors import NotABroadcast
from schemas.headers import AGGREGATE, COMPRESSIBLE
from streams.records import RawRecord, TopicPartition

NAMESPACE: Final = "/ws"


@dataclass(frozen=True, slots=True, kw_only=True)
class Broadcast:
    """An event in one room, with its place in the log and its packet (Socket.IO text, shared).

    `aggregate` is empty for an event about none, None where its route did not say. `state` names
    what a compressible event tells of its aggregate: a later one with the same `state` tells all of
    it anew. None: each event counts.
    """

    source: TopicPartition
    offset: int
    time_ms: int
    room: str
    type: str
    id: str
    packet: str
    aggregate: str | None = None
    state: str | None = None

    def standing_for(self, count: int, first_id: str) -> Self:
        """The same event, saying how many it stands for and which was the first of them."""
        told = orjson.dumps({"compressedFrom": count, "compressedFirst": first_id}).decode()
        return replace(self, packet=f"{self.packet.removesuffix('}]')},{told[1:]}]")

    @property
    def size(self) -> int:
        """Characters of the packet: what it costs to keep, near enough."""
        return len(self.packet)


def read_broadcast(record: RawRecord, epoch: str) -> Broadcast:
    """Read a record and make its packet. Raises NotABroadcast."""
    body = _body(record)
    if not record.key:
        raise NotABroadcast(f"{record.source} offset {record.offset} has no room")
    body["position"] = {
        "epoch": epoch,
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "time": record.timestamp_ms,
    }
    return Broadcast(
        source=record.source,
        offset=record.offset,
        time_ms=record.timestamp_ms,
        room=record.key.decode(errors="replace"),
        type=body["type"],
        id=body["id"],
        packet=event_packet(body["type"], body),
        aggregate=_text(record.header(AGGREGATE)),
        state=None if record.header(COMPRESSIBLE) is None else _state(body),
    )


def event_packet(name: str, body: object) -> str:
    """A Socket.IO EVENT packet of the gateway's namespace."""
    return f"2{NAMESPACE},{orjson.dumps([name, body]).decode()}"


def _state(body: Mapping[str, Any]) -> str | None:
    """The type and the fields: an event with fewer of them does not tell all of it anew."""
    data = body.get("data")
    return " ".join((body["type"], *sorted(data))) if isinstance(data, dict) else None


def _text(header: bytes | None) -> str | None:
    return None if header is None else header.decode(errors="replace")


def _body(record: RawRecord) -> dict[str, Any]:
    place = f"{record.source} offset {record.offset}"
    try:
        body = orjson.loads(record.value or b"")
    except orjson.JSONDecodeError as error:
        raise NotABroadcast(f"{place} is not JSON") from error
    match body:
        case {"id": str(), "type": str()}:
            return dict(body)
    raise NotABroadcast(f"{place} has no id and type")
