"""A Python client of the gateway: rooms, patterns, and after a reconnect exactly what was missed.

Guarantees: each event id is handed out once, in order per room; the cursor goes with every
reconnect; what cannot be replayed is in `gaps`. Refuses to go on after a refusal that a reconnect
cannot mend (bad token, bad cursor): `refused` then holds it and `closed` is set.
"""

import asyncio
import random
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import socketio
import structlog
from socketio.exceptions import SocketIOError

from gateway.broadcast import NAMESPACE
from gateway.errors import GatewayError
from schemas.pattern import matches

_LOG = structlog.get_logger(__name__)
_CONNECT_S: Final = 10.0
_LASTING: Final = frozenset({"BAD_TOKEN", "NO_TOKEN", "TOKEN_EXPIRED", "BAD_CURSOR"})
BrowserEvent = dict[str, Any]
"""What a browser gets: `id`, `type`, `data`, `timestamp`, `position`.

For a client that lagged also `compressedFrom` and `compressedFirst`: how many events of its
aggregate this one stands for, and the id of the first.
"""
EventHandler = Callable[[BrowserEvent], None]


class NotConnected(GatewayError):
    """The client is not connected to a gateway."""

    code = "gateway.not_connected"
    remedy = "Wait for `connected`, or look at `refused`."


@dataclass(slots=True, kw_only=True)
class Deliveries:
    """Counts of what came: distinct event ids, and repeats that were dropped."""

    distinct: int = 0
    repeats_dropped: int = 0
    connections: int = 0


@dataclass(slots=True, kw_only=True)
class RecentIds:
    """Remembers the newest ids, at most `limit` of them."""

    limit: int
    _ids: OrderedDict[str, None] = field(default_factory=OrderedDict)

    def add(self, event_id: str) -> bool:
        """Remember an id; False if it is known."""
        if event_id in self._ids:
            return False
        self._ids[event_id] = None
        if len(self._ids) > self.limit:
            self._ids.popitem(last=False)
        return True


class GatewayClient:
    """Connects to one gateway URL and stays connected until `close()`."""

    def __init__(
        self, *, remembered_ids: int = 500_000, retry_s: float = 0.2, retry_max_s: float = 2.0
    ) -> None:
        self.connected = asyncio.Event()
        self.closed = asyncio.Event()
        self.refused: dict[str, Any] | None = None
        self.gaps: list[dict[str, Any]] = []
        self.cursor: dict[str, Any] = {}
        self.deliveries = Deliveries()
        self._seen = RecentIds(limit=remembered_ids)
        self._rooms: list[str] = []
        self._patterns: list[str] = []
        self._handlers: list[tuple[str, EventHandler]] = []
        self._retry_s = retry_s
        self._retry_max_s = retry_max_s
        self._lost = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._socket = self._new_socket()

    async def connect(self, url: str, token: str) -> None:
        """Connect, trying until it succeeds, and stay connected. Raises NotConnected if refused."""
        self._running = asyncio.create_task(self._run(url, token), name="gateway-client")
        first = [asyncio.create_task(event.wait()) for event in (self.connected, self.closed)]
        try:
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for waiting in first:
                waiting.cancel()
        if self.closed.is_set():
            raise NotConnected(f"the gateway refused the client: {self.refused}")

    async def join(
        self, rooms: Sequence[str], cursor: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Join rooms, from a cursor or from now; the answer has `joined`, `refused`, `cursor`.

        Joined rooms are joined again after every reconnect. Raises NotConnected.
        """
        answer = await self._call("join", {"rooms": list(rooms), "cursor": cursor})
        self._rooms.extend(room for room in answer["joined"] if room not in self._rooms)
        return answer

    async def only(self, patterns: Sequence[str]) -> dict[str, Any]:
        """Have the gateway send only types that match these patterns, now and after reconnects."""
        answer = await self._call("subscribe", list(patterns))
        self._patterns.extend(patterns)
        return answer

    def subscribe(self, pattern: str, handler: EventHandler) -> None:
        """Call `handler` for every new event of the joined rooms whose type matches."""
        self._handlers.append((pattern, handler))

    async def close(self) -> None:
        """Disconnect for good."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        await self._socket.disconnect()
        self.closed.set()

    async def drop(self) -> None:
        """Lose the transport as a network would; the client reconnects with its cursor."""
        await self._socket.eio.disconnect()

    async def _run(self, url: str, token: str) -> None:
        delay = self._retry_s
        while not self.closed.is_set():
            self._lost.clear()
            self.refused = None
            if await self._connected(url, token):
                delay = self._retry_s
                await self._lost.wait()
                self.connected.clear()
            elif self._is_refused_for_good():
                self.closed.set()
                return
            await asyncio.sleep(delay * (0.5 + random.random()))  # noqa: S311  # spreads reconnects
            delay = min(delay * 2, self._retry_max_s)

    def _is_refused_for_good(self) -> bool:
        return self.refused is not None and self.refused.get("code") in _LASTING

    async def _connected(self, url: str, token: str) -> bool:
        self._socket = self._new_socket()
        try:
            await self._socket.connect(
                url,
                auth={"token": token, "cursor": self.cursor or None},
                transports=["websocket"],
                namespaces=[NAMESPACE],
                wait_timeout=_CONNECT_S,
            )
            if self._patterns:
                await self._call("subscribe", self._patterns)
            if self._rooms:
                await self._call("join", {"rooms": self._rooms})
        except (SocketIOError, NotConnected) as error:
            _LOG.debug("connect_failed", reason=str(error))
            await self._socket.disconnect()
            return False
        self.deliveries.connections += 1
        self.connected.set()
        return True

    async def _call(self, message: str, content: object) -> dict[str, Any]:
        answered: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

        def answer(result: dict[str, Any]) -> None:
            # Taken in here, before the next packet is read: later positions build on it.
            self.cursor.update(result.get("cursor", {}))
            if not answered.done():
                answered.set_result(result)

        try:
            await self._socket.emit(message, content, namespace=NAMESPACE, callback=answer)
            return await asyncio.wait_for(answered, _CONNECT_S)
        except (SocketIOError, TimeoutError) as error:
            raise NotConnected from error

    def _new_socket(self) -> Any:
        # Its handler of SIGINT cancels every task of the program that uses this client.
        socket = socketio.AsyncClient(reconnection=False, handle_sigint=False)
        socket.on("disconnect", self._on_disconnect, namespace=NAMESPACE)
        socket.on("connect_error", self._on_connect_error, namespace=NAMESPACE)
        socket.on("*", self._on_message, namespace=NAMESPACE)
        return socket

    def _on_disconnect(self, *_reason: object) -> None:
        self._lost.set()

    def _on_connect_error(self, error: object = None) -> None:
        if isinstance(error, dict) and isinstance(error.get("data"), dict):
            self.refused = error["data"]

    def _on_message(self, name: str, body: Any) -> None:
        match name:
            case "gap":
                self.gaps.extend(body["ranges"])
            case "bookmark":
                self.cursor.update(body["cursor"])
            case "refused":
                self.refused = body
            case _:
                self._take_in(body)

    def _take_in(self, event: BrowserEvent) -> None:
        position = event["position"]
        self.cursor[f"{position['topic']}/{position['partition']}"] = {
            "epoch": position["epoch"],
            "offset": position["offset"] + 1,
        }
        if not self._seen.add(event["id"]):
            self.deliveries.repeats_dropped += 1
            return
        self.deliveries.distinct += 1
        for pattern, handler in self._handlers:
            if matches(pattern, event["type"]):
                handler(event)
