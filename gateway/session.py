"""One admitted client: its rights, its follower, and the one task that writes to it.

Guarantees: events are sent only for rooms the token opens; nothing after the token's expiry; a
client that does not read is bounded, and let go after the stall deadline (it resumes by cursor).
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from gateway.broadcast import event_packet
from gateway.broadcast_log import Start
from gateway.cursor import Cursor, Gap, cursor_to_wire
from gateway.errors import (
    BadPattern,
    ClientStalled,
    Refusal,
    TokenExpired,
    TooManyRooms,
)
from gateway.feed import BroadcastFeed
from gateway.follower import Allowance, Follower
from gateway.metrics import GatewayNumbers
from gateway.requests import JoinRequest
from gateway.rooms import check_right
from gateway.settings import GatewaySettings
from gateway.tokens import Grant
from gateway.transport import Connection
from schemas.errors import SchemaError
from schemas.pattern import validate_pattern
from streams.records import TopicPartition

_LOG = structlog.get_logger(__name__)
_LOOK_RECORDS: Final = 1_000


@dataclass(slots=True, kw_only=True)
class Session:
    """A client from its admission to its end.

    `resume` is the cursor it connected with, until its first join; `bookmarks` says whether it
    keeps a cursor at all: only then is it told where it is while it sees nothing.
    """

    settings: GatewaySettings
    feed: BroadcastFeed
    connection: Connection
    grant: Grant
    resume: Cursor | None
    bookmarks: bool
    follower: Follower
    numbers: GatewayNumbers = field(default_factory=GatewayNumbers)
    now: Callable[[], float] = time.time
    bookmarked: dict[TopicPartition, int] = field(default_factory=dict)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    sent: int = 0
    has_caught_up: bool = False

    def join(self, request: JoinRequest) -> dict[str, Any]:
        """Join rooms; the answer names what was joined, what was refused, and the cursor."""
        start = self._start(request)
        joined: list[str] = []
        refused: list[dict[str, str]] = []
        for room in request.rooms:
            try:
                self._admit(room)
            except Refusal as refusal:
                self.numbers.refused(refusal.code)
                refused.append({"room": room, **refusal.to_wire()})
                continue
            if room not in self.follower.rooms or request.has_start:
                self.follower.join(room, start)
                self.has_caught_up = False
            joined.append(room)
        if joined:
            self._put_gaps(start.gaps)
            self.resume = None
        self.wake.set()
        return {"joined": joined, "refused": refused, "cursor": self.cursor()}

    def leave(self, rooms: tuple[str, ...]) -> dict[str, Any]:
        """Leave rooms; the answer names those that remain."""
        for room in rooms:
            self.follower.leave(room)
        return {"rooms": sorted(self.follower.rooms)}

    def subscribe(self, patterns: tuple[str, ...]) -> dict[str, Any]:
        """See only types that match a subscribed pattern. Raises BadPattern."""
        for pattern in patterns:
            _check_pattern(pattern)
        known = self.follower.patterns or set()
        if len(known | set(patterns)) > self.settings.max_patterns:
            raise BadPattern(f"one client may have {self.settings.max_patterns} patterns")
        self.follower.subscribe(patterns)
        return self._patterns()

    def unsubscribe(self, patterns: tuple[str, ...]) -> dict[str, Any]:
        """Take patterns back."""
        self.follower.unsubscribe(patterns)
        return self._patterns()

    def cursor(self) -> Mapping[str, Any]:
        """Where this client is, for the client to keep."""
        return cursor_to_wire(self.follower.positions, self.feed.epochs)

    async def run(self, expires_in_s: float) -> None:
        """Write to the client until it is cancelled, stalls, or its token expires."""
        self.feed.attach(self.wake)
        try:
            async with asyncio.timeout(expires_in_s):
                await self._follow()
        except ClientStalled as refusal:
            self.numbers.stalled += 1
            _LOG.info("client_dropped", code=refusal.code, subject=self.grant.subject)
            self.connection.abort()
        except TimeoutError:
            _LOG.info("client_dropped", code=TokenExpired.code, subject=self.grant.subject)
            self.connection.refuse(TokenExpired())
        finally:
            self.feed.detach(self.wake)

    async def _follow(self) -> None:
        clock = asyncio.get_running_loop().time
        interval = self.settings.bookmark_interval_s
        bookmark_at = clock() + interval
        while True:
            await self._writable()
            self.wake.clear()
            more = self._send_portion()
            if clock() >= bookmark_at:
                self._put_bookmark()
                bookmark_at = clock() + interval
            if more:
                await asyncio.sleep(0)
            else:
                await self._grown(bookmark_at)

    def _send_portion(self) -> bool:
        """Put the next packets, without a pause in between; True if there is more to look at."""
        queue = self.connection.queue
        portion = self.follower.take(
            self.feed.log,
            Allowance(packets=queue.space, size_bytes=queue.space_bytes, look=_LOOK_RECORDS),
        )
        self._put_gaps(portion.gaps)
        for broadcast in portion.broadcasts:
            self.connection.put(broadcast.packet)
        self.sent += len(portion.broadcasts)
        self.numbers.sent(portion.broadcasts)
        if portion.broadcasts and self.has_caught_up:
            self.numbers.emitted(portion.broadcasts, self.now() * 1_000)
        self.has_caught_up = self.has_caught_up or not portion.more
        return portion.more

    async def _grown(self, until: float) -> None:
        """Return when the log has grown, the client has asked for something, or at `until`."""
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self.wake.wait()

    def _put_bookmark(self) -> None:
        """Move the cursor of a client that sees little, so that it does not leave the history."""
        if self.bookmarks and self.follower.positions != self.bookmarked:
            self.bookmarked = dict(self.follower.positions)
            self.connection.put(event_packet("bookmark", {"cursor": self.cursor()}))

    async def _writable(self) -> None:
        try:
            async with asyncio.timeout(self.settings.stall_deadline_s):
                await self.connection.queue.writable()
        except TimeoutError as error:
            raise ClientStalled from error

    def _start(self, request: JoinRequest) -> Start:
        log = self.feed.log
        if request.cursor is not None:
            return log.start_from_cursor(request.cursor, self.feed.epochs)
        if request.since_ms is not None:
            return log.start_at_time(request.since_ms)
        if self.resume is not None:
            return log.start_from_cursor(self.resume, self.feed.epochs)
        return log.start_from_now()

    def _admit(self, room: str) -> None:
        check_right(room, self.grant.rooms)
        if room not in self.follower.rooms and len(self.follower.rooms) >= self.settings.max_rooms:
            raise TooManyRooms

    def _put_gaps(self, gaps: tuple[Gap, ...]) -> None:
        if gaps:
            self.connection.put(event_packet("gap", {"ranges": [gap.to_wire() for gap in gaps]}))

    def _patterns(self) -> dict[str, Any]:
        self.wake.set()
        return {"patterns": sorted(self.follower.patterns or ())}


def _check_pattern(pattern: str) -> None:
    try:
        validate_pattern(pattern)
    except SchemaError as error:
        raise BadPattern(error.message) from error
