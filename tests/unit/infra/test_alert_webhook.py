"""A web hook is tried a few times in a bounded time, and tells nothing that it must not tell."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr
from structlog.testing import capture_logs

from infra import alert_webhook
from infra.alert_webhook import PAUSES_S, AlertWebhook, alert_hooks
from infra.errors import SettingsInvalid
from infra.settings import load_settings
from streams.alert import Alert
from streams.parking.letter import LetterState
from tests.unit.streams.failed_letters import NOW

ALERT = Alert(
    app="team",
    group="team.main",
    handler="notify",
    reason="ValueError",
    state=LetterState.PARKED,
    count=7,
    tries=3,
    letter_id="team.main/notify/events.domain.low/2/1",
    event_id="e1",
    event_type="order.placed",
    correlation_id="c1",
    at=NOW,
)
SECRET = "token-of-the-chat"


class Chat:
    """Takes alerts, after it has answered with these statuses."""

    def __init__(self, *statuses: int) -> None:
        self.bodies: list[Any] = []
        self._statuses = list(statuses)

    async def answer(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.json())
        return web.Response(status=self._statuses.pop(0) if self._statuses else 200)


@asynccontextmanager
async def hook_to(
    answer: Callable[[web.Request], Awaitable[web.StreamResponse]], pauses: list[float]
) -> AsyncIterator[AlertWebhook]:
    app = web.Application()
    app.router.add_post(f"/{SECRET}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    hook = AlertWebhook(SecretStr(f"http://127.0.0.1:{runner.addresses[0][1]}/{SECRET}"), sleep)
    try:
        yield hook
    finally:
        await hook.close()
        await runner.cleanup()


async def test_an_alert_is_posted_as_json() -> None:
    chat = Chat()
    async with hook_to(chat.answer, []) as hook:
        await hook.tell(ALERT)
    (body,) = chat.bodies
    assert body["text"] == (
        "team.main: notify failed 7 times with ValueError, lately on order.placed. "
        f"Next: wundr dlq show {ALERT.letter_id}"
    )
    assert (body["count"], body["state"], body["eventId"]) == (7, "parked", "e1")
    assert body["at"] == "2026-01-02T03:04:05.000+00:00"


@pytest.mark.parametrize(
    ("statuses", "posts"),
    [((503,), 2), ((429, 500), 3), ((500,) * 9, 1 + len(PAUSES_S)), ((404,), 1), ((302,), 1)],
)
async def test_it_is_tried_again_where_that_may_help(statuses: tuple[int, ...], posts: int) -> None:
    chat, pauses = Chat(*statuses), list[float]()
    async with hook_to(chat.answer, pauses) as hook:
        await hook.tell(ALERT)
    assert len(chat.bodies) == posts
    assert pauses == list(PAUSES_S[: posts - 1])


async def test_one_that_does_not_answer_is_given_up_and_its_address_is_not_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(alert_webhook, "ANSWER_S", 0.05)
    pauses: list[float] = []
    is_over = asyncio.Event()

    async def hang(_request: web.Request) -> web.Response:
        await is_over.wait()
        return web.Response()

    with capture_logs() as logs:
        async with hook_to(hang, pauses) as hook:
            await hook.tell(ALERT)
            is_over.set()
    assert pauses == list(PAUSES_S)
    (line,) = [entry for entry in logs if entry["event"] == "a web hook took no alert"]
    assert "Timeout" in line["because"]
    assert SECRET not in str(line)


async def test_one_that_is_not_there_is_given_up() -> None:
    pauses: list[float] = []
    async with hook_to(Chat().answer, pauses) as hook:
        gone = AlertWebhook(SecretStr(f"http://127.0.0.1:9/{SECRET}"), hook._sleep)
        with capture_logs() as logs:
            await gone.tell(ALERT)
        await gone.close()
    assert pauses == list(PAUSES_S)
    assert SECRET not in str(logs)


def test_the_address_is_a_secret_setting() -> None:
    assert alert_hooks(load_settings({})) == ()
    settings = load_settings({"WUNDR_ALERT_WEBHOOK": f"https://chat.example/{SECRET}"})
    assert SECRET not in repr(settings)
    (hook,) = alert_hooks(settings)
    assert isinstance(hook, AlertWebhook)


@pytest.mark.parametrize("address", ["chat.example", "ftp://chat", "https:///x", "https://[x/y"])
def test_what_is_no_address_is_refused_without_being_shown(address: str) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        load_settings({"WUNDR_ALERT_WEBHOOK": address})
    assert refused.value.faults == ("WUNDR_ALERT_WEBHOOK: write it as https://host/path",)
