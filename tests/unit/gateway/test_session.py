from typing import cast

from aiohttp import web

from gateway.broadcast import Broadcast
from gateway.broadcast_log import BroadcastLog
from gateway.feed import BroadcastFeed
from gateway.follower import Allowance, Follower
from gateway.requests import JoinRequest
from gateway.session import Session
from gateway.settings import GatewaySettings
from gateway.tokens import Grant, new_secret
from gateway.transport import Connection, OutboundQueue
from streams.log import RecordReader
from streams.records import TopicPartition

SOURCE = TopicPartition("broadcast.project", 0)
PLENTY = Allowance(packets=100, size_bytes=10**6, look=100)


def new_session() -> Session:
    settings = GatewaySettings(jwt_secret=new_secret())
    feed = BroadcastFeed(settings, cast(RecordReader, None), {"broadcast.project": "e"})
    feed.log = BroadcastLog({SOURCE: 0}, max_records=100, max_bytes=10**6)
    queue = OutboundQueue(packets=8, size_bytes=1_000)
    return Session(
        settings=settings,
        feed=feed,
        connection=Connection(queue=queue, request=cast(web.Request, None)),
        grant=Grant(subject="alice", rooms=frozenset({"project.a"}), expires_at=0.0),
        resume=None,
        bookmarks=False,
        follower=Follower(positions=feed.log.start_from_now().offsets),
    )


def test_joining_a_room_again_does_not_skip_what_waits_to_be_sent() -> None:
    session = new_session()
    session.join(JoinRequest(rooms=("project.a",)))
    waiting = Broadcast(
        source=SOURCE,
        offset=0,
        time_ms=0,
        room="project.a",
        type="analysis.started",
        id="e1",
        packet="",
    )
    session.feed.log.append(waiting)
    session.join(JoinRequest(rooms=("project.a",)))
    assert session.follower.take(session.feed.log, PLENTY).broadcasts == (waiting,)
