"""A broadcast has one span on a node, from the broker's time to its first client."""

from __future__ import annotations

import asyncio
from typing import cast

from aiohttp import web

from gateway.broadcast import Broadcast, read_broadcast
from gateway.emit_spans import EmitSpans
from gateway.feed import BroadcastFeed
from gateway.follower import Follower
from gateway.requests import JoinRequest
from gateway.session import Session
from gateway.settings import GatewaySettings
from gateway.tokens import Grant, new_secret
from gateway.transport import Connection, OutboundQueue
from schemas.headers import TRACEPARENT, TraceContext
from schemas.topics import BROADCAST_PROJECT, BROADCAST_TOPICS
from streams.memory.log import MemoryLog
from streams.memory.reader import MemoryReader
from streams.records import OutgoingRecord, RawRecord
from tests.unit.infra.kept_traces import Traces, parent_of

PUBLISHED = TraceContext("1" * 32, "2" * 16)


def arrived(offset: int, traceparent: bytes | None = None) -> tuple[RawRecord, Broadcast]:
    header = traceparent or f"00-{PUBLISHED.trace_id}-{PUBLISHED.span_id}-01".encode()
    record = RawRecord(
        topic="broadcast.project",
        partition=0,
        offset=offset,
        timestamp_ms=1_000,
        key=b"project.a",
        value=b'{"id": "e", "type": "analysis.started"}',
        headers=((TRACEPARENT, header),),
    )
    return record, read_broadcast(record, "epoch")


def test_the_first_client_ends_the_span_and_others_have_none() -> None:
    traces = Traces()
    spans = EmitSpans(traces.tracing.tracer)
    record, broadcast = arrived(0)
    spans.read(record)
    spans.emitted([broadcast])
    spans.emitted([broadcast])
    span = traces.one("emit analysis.started")
    assert parent_of(span) == int(PUBLISHED.span_id, 16)
    assert span.start_time == 1_000 * 1_000_000


def test_what_nobody_sees_has_no_span() -> None:
    traces = Traces()
    spans = EmitSpans(traces.tracing.tracer)
    spans.read(arrived(0)[0])
    assert traces.named("emit analysis.started") == []


def test_a_header_that_is_no_trace_is_left_alone() -> None:
    traces = Traces()
    spans = EmitSpans(traces.tracing.tracer)
    record, broadcast = arrived(0, b"nonsense")
    spans.read(record)
    spans.emitted([broadcast])
    assert traces.named("emit analysis.started") == []


def test_broadcasts_that_wait_for_a_client_are_bounded() -> None:
    traces = Traces()
    spans = EmitSpans(traces.tracing.tracer, limit=1)
    (old, first), (new, second) = arrived(0), arrived(1)
    spans.read(old)
    spans.read(new)
    spans.emitted([first, second])
    assert len(traces.named("emit analysis.started")) == 1


async def test_a_live_broadcast_has_its_span_once_a_session_has_written_it() -> None:
    traces, log = Traces(), MemoryLog(partitions=1)
    settings = GatewaySettings(jwt_secret=new_secret())
    spans = EmitSpans(traces.tracing.tracer)
    reader = MemoryReader(log, BROADCAST_TOPICS)
    feed = BroadcastFeed(settings, reader, dict.fromkeys(BROADCAST_TOPICS, "e"), spans)
    log.append(outgoing("before"))
    await feed.load()
    session = new_session(settings, feed)
    session.join(JoinRequest(rooms=("project.a",), since_ms=0))
    following = asyncio.create_task(feed.follow())
    log.append(outgoing("after"))
    async with asyncio.timeout(10):
        while len(feed.log) < 2:  # noqa: ASYNC110  # the feed says nothing when it has grown
            await asyncio.sleep(0)
    session._send_portion()
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    assert session.sent == 2
    (span,) = traces.named("emit analysis.started")
    assert span.attributes is not None
    assert span.attributes["messaging.message.id"] == "after"


def outgoing(event_id: str) -> OutgoingRecord:
    """A broadcast to the room project.a."""
    header = f"00-{PUBLISHED.trace_id}-{PUBLISHED.span_id}-01".encode()
    body = f'{{"id": "{event_id}", "type": "analysis.started"}}'.encode()
    return OutgoingRecord(BROADCAST_PROJECT, b"project.a", body, ((TRACEPARENT, header),))


def new_session(settings: GatewaySettings, feed: BroadcastFeed) -> Session:
    """A client that may see the room project.a."""
    queue = OutboundQueue(packets=8, size_bytes=10_000)
    return Session(
        settings=settings,
        feed=feed,
        connection=Connection(queue=queue, request=cast(web.Request, None)),
        grant=Grant(subject="alice", rooms=frozenset({"project.a"}), expires_at=0.0),
        resume=None,
        bookmarks=False,
        follower=Follower(positions=feed.log.start_from_now().offsets),
    )
