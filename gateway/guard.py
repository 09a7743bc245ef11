"""Checks of every request before anything else: host, origin, and limits of new connections."""

import time
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from aiohttp import web

from gateway.errors import HostRefused, OriginRefused, Refusal
from gateway.limits import ConnectionLimits, TokenBucket
from gateway.metrics import GatewayNumbers
from gateway.origins import host_allowed, origin_allowed
from gateway.settings import GatewaySettings

_LOG = structlog.get_logger(__name__)
SOCKET_PATH: Final = "/socket.io/"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Guard:
    """Refuses requests that must not reach the gateway, with a documented code."""

    def __init__(
        self,
        settings: GatewaySettings,
        numbers: GatewayNumbers,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        rate = settings.connections_per_second
        self.limits = ConnectionLimits(
            total=settings.max_connections,
            per_address=settings.max_connections_per_address,
            arrivals=TokenBucket(rate=rate, burst=max(1.0, rate * 2), refilled_at=clock()),
        )
        self._settings = settings
        self._numbers = numbers
        self._clock = clock

    async def check(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Pass a request on, or answer with its refusal."""
        try:
            self._check_names(request)
            if request.path == SOCKET_PATH:
                return await self._connected(request, handler)
        except Refusal as refusal:
            _LOG.info("request_refused", code=refusal.code, path=request.path)
            self._numbers.refused(refusal.code)
            return web.json_response(refusal.to_wire(), status=refusal.http_status)
        return await handler(request)

    def _check_names(self, request: web.Request) -> None:
        host = request.headers.get("Host", "")
        if not host_allowed(host, self._settings.host, self._settings.origins):
            raise HostRefused
        if not origin_allowed(request.headers.get("Origin"), host, self._settings.origins):
            raise OriginRefused

    async def _connected(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        address = request.remote or "unknown"
        self.limits.enter(address, self._clock())
        try:
            return await handler(request)
        finally:
            self.limits.leave(address)


async def add_security_headers(_request: web.Request, response: web.StreamResponse) -> None:
    """Pages of the gateway run no foreign or inline script and are framed by nobody."""
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
