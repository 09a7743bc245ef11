"""Alerts by a web hook: a JSON body to one address, in a bounded time, a few tries."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import aiohttp
import structlog
from pydantic import SecretStr

from infra.settings import Settings
from streams.alert import Alert
from streams.alerts import AlertHook

ANSWER_S: Final = 5.0
"""How long one try may take."""

PAUSES_S: Final = (0.5, 2.0)
"""The pauses before further tries."""

TOO_MANY: Final = 429
SERVER_FAULT: Final = 500
REDIRECTED: Final = 300
"""From here on nobody has taken the alert: a redirect is not followed with its body."""

log = structlog.get_logger(__name__)


class AlertWebhook:
    """Implements AlertHook. The address never appears in a log line: it may hold a secret."""

    def __init__(
        self, address: SecretStr, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._address = address
        self._sleep = sleep
        self._http: aiohttp.ClientSession | None = None

    async def tell(self, alert: Alert) -> None:
        """See AlertHook. An alert that nobody takes is given up after the last try."""
        said = body(alert)
        refusal = await self._post(said)
        for pause_s in PAUSES_S:
            if refusal is None or not refusal.may_pass:
                break
            await self._sleep(pause_s)
            refusal = await self._post(said)
        if refusal is not None:
            log.warning("a web hook took no alert", letter=alert.letter_id, because=refusal.reason)

    async def close(self) -> None:
        """See AlertHook."""
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def _post(self, said: Mapping[str, Any]) -> _Refusal | None:
        """None when it was taken."""
        if self._http is None:
            self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_S))
        try:
            address = self._address.get_secret_value()
            async with self._http.post(address, json=said, allow_redirects=False) as answer:
                return _refusal(answer.status)
        except (aiohttp.ClientError, TimeoutError) as error:
            # Its text may hold the address.
            return _Refusal(type(error).__name__, may_pass=True)


class _Refusal:
    """Why an alert was not taken, and whether that may pass."""

    def __init__(self, reason: str, *, may_pass: bool) -> None:
        self.reason = reason
        self.may_pass = may_pass


def _refusal(status: int) -> _Refusal | None:
    if status < REDIRECTED:
        return None
    return _Refusal(f"status {status}", may_pass=status == TOO_MANY or status >= SERVER_FAULT)


def body(alert: Alert) -> dict[str, Any]:
    """What is sent: facts for programs, and `text` for chats. Nothing of the event's data."""
    return {
        "text": f"{alert.text}. Next: wundr dlq show {alert.letter_id}",
        "app": alert.app,
        "subscription": alert.group,
        "handler": alert.handler,
        "reason": alert.reason,
        "state": alert.state.value,
        "count": alert.count,
        "tries": alert.tries,
        "eventId": alert.event_id,
        "eventType": alert.event_type,
        "letterId": alert.letter_id,
        "correlationId": alert.correlation_id,
        "at": alert.at.isoformat(timespec="milliseconds"),
    }


def alert_hooks(settings: Settings) -> tuple[AlertHook, ...]:
    """The hooks of this installation beside the log and the event: none unless one is named."""
    return () if settings.alert_webhook is None else (AlertWebhook(settings.alert_webhook),)
