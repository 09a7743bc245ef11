"""The Socket.IO server: who is admitted to `/ws`, and what an admitted client may ask.

Guarantees: nothing is joined or sent before the token is verified; a refused client is told its
code and its transport is closed; a client that does not connect in time is cut off.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import socketio
import structlog
from socketio.exceptions import ConnectionRefusedError as Refused

from gateway.broadcast import NAMESPACE
from gateway.errors import (
    BadRequest,
    ConnectDeadline,
    Refusal,
    ShuttingDown,
)
from gateway.feed import BroadcastFeed
from gateway.follower import Follower
from gateway.requests import Credentials, read_credentials, read_join, read_names
from gateway.session import Session
from gateway.settings import GatewaySettings
from gateway.tokens import Grant, verify
from gateway.transport import Connection, GatewayEngine

_LOG = structlog.get_logger(__name__)


class Admissions:
    """The admitted clients of a node, each with its task, and those expected to connect."""

    def __init__(
        self, settings: GatewaySettings, feed: BroadcastFeed, now: Callable[[], float] = time.time
    ) -> None:
        self.sessions: dict[str, Session] = {}
        self._settings = settings
        self._feed = feed
        self._now = now
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._deadlines: dict[str, asyncio.TimerHandle] = {}

    def expect(self, engine_id: str, connection: Connection) -> None:
        """Cut a transport off unless it is admitted in time."""

        def cut_off() -> None:
            _LOG.info("client_refused", code=ConnectDeadline.code)
            connection.abort()

        self._deadlines[engine_id] = asyncio.get_running_loop().call_later(
            self._settings.connect_deadline_s, cut_off
        )

    def admit(self, engine_id: str, connection: Connection, auth: object) -> None:
        """Let a client in. Raises the Refusal that says why not."""
        credentials = read_credentials(auth)
        grant = verify(self._settings, credentials.token)
        session = self._session(connection, credentials, grant)
        self._deadlines.pop(engine_id).cancel()
        self.sessions[engine_id] = session
        self._tasks[engine_id] = asyncio.create_task(
            session.run(grant.expires_at - self._now()), name=f"session-{engine_id}"
        )
        _LOG.info("client_admitted", subject=grant.subject)

    def forget(self, engine_id: str) -> None:
        """The transport is gone."""
        deadline = self._deadlines.pop(engine_id, None)
        if deadline is not None:
            deadline.cancel()
        self.sessions.pop(engine_id, None)
        task = self._tasks.pop(engine_id, None)
        if task is not None:
            task.cancel()

    async def close(self) -> None:
        """Tell every client to come back later, and end all tasks."""
        for session in self.sessions.values():
            session.connection.refuse(ShuttingDown())
        tasks = tuple(self._tasks.values())
        for engine_id in list(self._tasks):
            self.forget(engine_id)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _session(self, connection: Connection, credentials: Credentials, grant: Grant) -> Session:
        return Session(
            settings=self._settings,
            feed=self._feed,
            connection=connection,
            grant=grant,
            resume=credentials.cursor,
            bookmarks=credentials.keeps_cursor,
            follower=Follower(
                positions=self._feed.log.start_from_now().offsets,
                lag=self._settings.compress_lag_records,
            ),
        )


class GatewayNamespace(socketio.AsyncNamespace):  # type: ignore[misc]  # the package has no types
    """Messages of `/ws`. A message that is refused is answered with `{error: {code, ...}}`."""

    def __init__(self, admissions: Admissions) -> None:
        super().__init__(NAMESPACE)
        self._admissions = admissions

    async def trigger_event(self, event: str, *arguments: Any) -> object:
        """Take one message from the Socket.IO server; the result is the acknowledgement."""
        socket_id, *rest = arguments
        engine_id = self.server.manager.eio_sid_from_sid(socket_id, NAMESPACE)
        if event == "connect":
            self._connect(engine_id, *rest)
            return None
        if event == "disconnect":
            self._admissions.forget(engine_id)
            return None
        session = self._admissions.sessions.get(engine_id)
        if session is None:
            return None
        try:
            return _answer(session, event, tuple(rest))
        except Refusal as refusal:
            return {"error": refusal.to_wire()}

    def _connect(self, engine_id: str, environ: dict[str, Any], auth: object = None) -> None:
        connection = self.server.eio.connection(engine_id, environ)
        try:
            self._admissions.admit(engine_id, connection, auth)
        except Refusal as refusal:
            _LOG.info("client_refused", code=refusal.code, reason=refusal.message)
            raise Refused(refusal.message, refusal.to_wire()) from refusal


class GatewayServer(socketio.AsyncServer):  # type: ignore[misc]  # the package has no types
    """Socket.IO with one namespace, handled message by message in the order they came."""

    def __init__(self, settings: GatewaySettings, admissions: Admissions) -> None:
        self._settings = settings
        self._admissions = admissions
        super().__init__(
            settings=settings, async_handlers=False, always_connect=False, namespaces=[NAMESPACE]
        )
        self.register_namespace(GatewayNamespace(admissions))

    def _engineio_server_class(self) -> type[GatewayEngine]:
        return GatewayEngine

    async def _handle_eio_connect(self, eio_sid: str, environ: dict[str, Any]) -> None:
        await super()._handle_eio_connect(eio_sid, environ)
        self._admissions.expect(eio_sid, self.eio.connection(eio_sid, environ))

    async def _handle_connect(self, eio_sid: str, namespace: str | None, data: object) -> None:
        """Admit or refuse; what the stock server refuses it would leave connected."""
        before = self._admissions.sessions.get(eio_sid)
        await super()._handle_connect(eio_sid, namespace, data)
        after = self._admissions.sessions.get(eio_sid)
        if after is None or after is before:
            self.eio.connection(eio_sid, self.environ[eio_sid]).finish()

    async def _handle_eio_disconnect(self, eio_sid: str, reason: str) -> None:
        await super()._handle_eio_disconnect(eio_sid, reason)
        self._admissions.forget(eio_sid)


def _answer(session: Session, event: str, arguments: tuple[object, ...]) -> dict[str, Any]:
    match event:
        case "join":
            return session.join(read_join(arguments))
        case "leave":
            return session.leave(read_names(arguments))
        case "subscribe":
            return session.subscribe(read_names(arguments))
        case "unsubscribe":
            return session.unsubscribe(read_names(arguments))
    raise BadRequest(f"there is no message {event[:100]!r}")
