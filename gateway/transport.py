"""The WebSocket side of Engine.IO: bounded sending, checked receiving, and prompt endings.

The stock server queues without a bound, accepts binary frames, offers compression per client, and
leaves the transport of a refused client open. The classes here replace exactly these parts; the
tests of this module fail when an upgrade of the packages moves a hook.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import engineio
import structlog
from aiohttp import WSCloseCode, web
from engineio.async_drivers.aiohttp import WebSocket
from engineio.packet import MESSAGE, Packet

from gateway.broadcast import event_packet
from gateway.errors import Refusal, TooManyMessages
from gateway.inbound import check_frame
from gateway.limits import TokenBucket
from gateway.metrics import GatewayNumbers
from gateway.settings import GatewaySettings

_LOG = structlog.get_logger(__name__)
_GRACE_S: Final = 1.0
_BURST_SECONDS: Final = 2.0


class OutboundQueue(asyncio.Queue[Packet | None]):
    """What the writer has not yet taken. Puts never wait; a polite producer asks `writable`."""

    def __init__(self, *, packets: int, size_bytes: int) -> None:
        self.bytes = 0
        self._packet_limit = packets
        self._byte_limit = size_bytes
        self._has_space = asyncio.Event()
        self._has_space.set()
        super().__init__()

    async def writable(self) -> None:
        """Return once there is space for another packet."""
        await self._has_space.wait()

    @property
    def space(self) -> int:
        """How many packets may still be put."""
        return max(0, self._packet_limit - self.qsize())

    @property
    def space_bytes(self) -> int:
        """How many bytes may still be put."""
        return max(0, self._byte_limit - self.bytes)

    @property
    def is_full(self) -> bool:
        """Whether a producer has to wait."""
        return self.space == 0 or self.space_bytes == 0

    def _put(self, item: Packet | None) -> None:
        super()._put(item)
        self.bytes += _size(item)
        if self.is_full:
            self._has_space.clear()

    def _get(self) -> Packet | None:
        item = super()._get()
        self.bytes -= _size(item)
        if not self.is_full:
            self._has_space.set()
        return item


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One browser's transport: put packets, ask for space, end it."""

    queue: OutboundQueue
    request: web.Request

    def put(self, packet: str) -> None:
        """Send a Socket.IO packet behind all others."""
        self.queue.put_nowait(Packet(MESSAGE, data=packet))

    def finish(self) -> None:
        """Write what is queued, close, and abort if that takes longer than a moment."""
        self.queue.put_nowait(None)
        asyncio.get_running_loop().call_later(_GRACE_S, self.abort)

    def refuse(self, refusal: Refusal) -> None:
        """Tell the client why, then end."""
        self.put(event_packet("refused", refusal.to_wire()))
        self.finish()

    def abort(self) -> None:
        """End at once; what is queued is not written."""
        if self.request.transport is not None:
            self.request.transport.abort()


class GatewayEngine(engineio.AsyncServer):  # type: ignore[misc]  # the package has no types
    """Engine.IO over WebSocket only, with bounded queues and checked frames."""

    _async: dict[str, Any]
    numbers: GatewayNumbers
    """Set before the first client comes."""

    def __init__(self, settings: GatewaySettings, **options: Any) -> None:
        self.settings = settings
        super().__init__(
            async_mode="aiohttp",
            transports=["websocket"],
            max_http_buffer_size=settings.max_message_bytes,
            cors_allowed_origins=[],
            http_compression=False,
            allow_upgrades=False,
            **options,
        )
        self._async = self._async | {"websocket": GatewayWebSocket}

    def create_queue(self, *_args: Any, **_options: Any) -> OutboundQueue:
        """The queue of a new client."""
        return OutboundQueue(
            packets=self.settings.queue_packets, size_bytes=self.settings.queue_bytes
        )

    def connection(self, engine_id: str, environ: dict[str, Any]) -> Connection:
        """The transport of a client."""
        queue = self.sockets[engine_id].queue
        return Connection(queue=queue, request=environ["aiohttp.request"])


class GatewayWebSocket(WebSocket):  # type: ignore[misc]  # the package has no types
    """A WebSocket without compression that checks each frame and how fast they come."""

    def __init__(
        self,
        handler: Callable[[Any], Any],
        server: GatewayEngine,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(handler, server)
        rate = server.settings.messages_per_second
        self._clock = clock
        self._bucket = TokenBucket(
            rate=rate, burst=max(1.0, rate * _BURST_SECONDS), refilled_at=clock()
        )

    async def __call__(self, environ: dict[str, Any]) -> web.WebSocketResponse:
        """Upgrade, then hand over to Engine.IO until the connection ends."""
        self._sock = web.WebSocketResponse(
            max_msg_size=self.server.max_http_buffer_size,
            compress=False,
            timeout=_GRACE_S,
            writer_limit=self.server.settings.queue_bytes,
        )
        await self._sock.prepare(environ["aiohttp.request"])
        self.environ = environ
        await self.handler(self)
        return self._sock

    async def wait(self) -> str:
        """The next frame. Raises OSError, which ends the connection, for one that is refused."""
        frame = await super().wait()
        try:
            check_frame(frame)
            if not self._bucket.take(self._clock()):
                raise TooManyMessages
        except Refusal as refusal:
            _LOG.info("client_refused", code=refusal.code, reason=refusal.message)
            self.server.numbers.refused(refusal.code)
            await self._sock.close(code=WSCloseCode.POLICY_VIOLATION, message=refusal.code.encode())
            raise OSError(refusal.code) from refusal
        return str(frame)


def _size(item: Packet | None) -> int:
    return len(item.data) if item is not None and isinstance(item.data, str) else 0
