"""What tests speak to a gateway with: a Socket.IO client as in the ADR, and a bare WebSocket."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import socketio
from socketio.exceptions import ConnectionError as NotAdmitted

NAMESPACE = "/ws"
PATIENCE_S = 10.0


async def until(condition: Callable[[], bool]) -> None:
    """Return once the condition holds; fails after a while."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110  # these conditions have no event
            await asyncio.sleep(0.005)


class Browser:
    """A client that only joins rooms and listens to everything."""

    def __init__(self) -> None:
        self.received: list[tuple[str, Any]] = []
        self.errors: list[Any] = []
        self.disconnected = asyncio.Event()
        self._socket = socketio.AsyncClient(reconnection=False)
        self._socket.on("*", self._on_any, namespace=NAMESPACE)
        self._socket.on("connect_error", self.errors.append, namespace=NAMESPACE)
        self._socket.on("disconnect", self._on_disconnect, namespace=NAMESPACE)

    async def connect(
        self, url: str, auth: dict[str, Any] | None, headers: dict[str, str] | None = None
    ) -> None:
        """Connect; raises NotAdmitted."""
        await self._socket.connect(
            url,
            auth=auth,
            headers=headers or {},
            transports=["websocket"],
            namespaces=[NAMESPACE],
            wait_timeout=PATIENCE_S,
        )

    async def refusal(self, url: str, auth: dict[str, Any] | None) -> dict[str, str]:
        """Connect, expecting to be refused; returns the refusal's data."""
        try:
            await self.connect(url, auth)
        except NotAdmitted:
            return dict(self.errors[-1]["data"])
        raise AssertionError("the client was admitted")

    async def ask(self, message: str, *content: Any) -> dict[str, Any]:
        """Send a message and wait for its acknowledgement."""
        arguments = tuple(content) if len(content) != 1 else content[0]
        answer = await self._socket.call(
            message, arguments, namespace=NAMESPACE, timeout=PATIENCE_S
        )
        assert isinstance(answer, dict)
        return answer

    async def close(self) -> None:
        """Disconnect, if connected."""
        await self._socket.disconnect()

    def ids(self) -> list[str]:
        """The ids of the events received, repeats included."""
        return [body["id"] for name, body in self.received if "." in name]

    def named(self, name: str) -> list[Any]:
        """The bodies of one kind of message."""
        return [body for received, body in self.received if received == name]

    def cursor(self) -> dict[str, Any]:
        """Where the last event of each partition puts this client."""
        return {
            f"{body['position']['topic']}/{body['position']['partition']}": {
                "epoch": body["position"]["epoch"],
                "offset": body["position"]["offset"] + 1,
            }
            for name, body in self.received
            if "." in name
        }

    def _on_any(self, name: str, body: Any) -> None:
        self.received.append((name, body))

    def _on_disconnect(self, *_reason: Any) -> None:
        self.disconnected.set()


@asynccontextmanager
async def bare_socket(
    http: aiohttp.ClientSession, url: str, **options: Any
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A WebSocket to the gateway on which a test writes packets itself."""
    address = f"{url}/socket.io/?EIO=4&transport=websocket"
    async with http.ws_connect(address, max_msg_size=0, **options) as socket:
        opening = await socket.receive_str(timeout=PATIENCE_S)
        assert opening.startswith("0{")
        yield socket


async def closing(socket: aiohttp.ClientWebSocketResponse) -> list[str]:
    """Read until the gateway ends the connection; what was read before."""
    frames: list[str] = []
    async with asyncio.timeout(PATIENCE_S):
        while True:
            message = await socket.receive()
            if message.type is not aiohttp.WSMsgType.TEXT:
                return frames
            frames.append(str(message.data))
