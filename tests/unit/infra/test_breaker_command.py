"""`wundr breaker` and the exit code of a worker that stands still, without a broker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import pytest
from aiohttp import web
from typer.testing import CliRunner

from infra.cli import run
from infra.commands import breaker, worker
from streams.app import App
from streams.context import Context
from streams.control import Order
from streams.policies import Breaker, DeadLetter
from streams.runtime.errors import WorkerStalled

TEAM = App("shop")


@TEAM.on("analysis.started", policies=(Breaker("mailer", threshold=2), DeadLetter()))
async def mail(event: Any, context: Context) -> None:
    """Mails."""


@pytest.fixture
def orders(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Order | None]]:
    """What was ordered."""
    ordered: list[tuple[str, Order | None]] = []

    async def send(key: str, order: Order | None) -> None:
        ordered.append((key, order))

    monkeypatch.setattr(breaker, "_send", send)
    monkeypatch.setattr(breaker, "load_app", lambda path: TEAM)
    return ordered


@pytest.mark.parametrize(
    ("arguments", "order"),
    [
        (["open", "shop.app", "mailer", "--reason", "moves"], {"state": "open", "reason": "moves"}),
        (["close", "shop.app", "mailer", "--reason", "x"], {"state": "closed", "reason": "x"}),
        (["release", "shop.app", "mailer"], None),
    ],
)
def test_an_order_goes_to_the_breaker_of_the_app(
    orders: list[tuple[str, Order | None]], arguments: list[str], order: Order | None
) -> None:
    result = CliRunner().invoke(breaker.app, arguments)
    assert result.exit_code == 0
    assert orders == [("breaker/shop/mailer", order)]


def test_an_order_without_a_reason_names_who_gave_it(
    orders: list[tuple[str, Order | None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "ann")
    CliRunner().invoke(breaker.app, ["open", "shop.app", "mailer"])
    assert orders[0][1] == {"state": "open", "reason": "ordered by ann"}


def test_a_breaker_that_no_handler_has_is_refused_with_those_there_are(
    orders: list[tuple[str, Order | None]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["breaker", "open", "shop.app", "mialer"]) == 1
    assert "shop has no breaker 'mialer', only mailer" in capsys.readouterr().err
    assert orders == []


@pytest.mark.parametrize(
    ("words", "said"), [([], "no handler of plain has a breaker\n"), (["--json"], "")]
)
def test_an_app_without_breakers_is_told_in_a_sentence(
    words: list[str],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def standing(app_name: str) -> Mapping[str, Order]:
        return {}

    monkeypatch.setattr(breaker, "_standing", standing)
    monkeypatch.setattr(breaker, "load_app", lambda path: App("plain"))
    assert run(["breaker", "list", "plain.app", *words]) == 0
    assert capsys.readouterr() == ("", said)


def test_a_worker_that_stands_still_ends_with_75_and_says_where(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stand_still(target: str, settings: object) -> None:
        raise WorkerStalled("main stands still at events.domain.low/2")

    places: Callable[[], tuple[object, object, None]] = lambda: (None, None, None)  # noqa: E731
    module: ModuleType = worker
    monkeypatch.setattr(module, "_run_until_signalled", stand_still)
    monkeypatch.setattr(module, "_places", places)
    assert run(["worker", "shop.app", "--restart-when-stalled"]) == 75
    assert "main stands still at events.domain.low/2" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["{}", "[1]", "<html>", '{"breakers": null}'])
async def test_a_page_that_names_no_breakers_is_told_in_a_sentence(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async def live(request: web.Request) -> web.Response:
        return web.Response(text=text)

    app = web.Application()
    app.router.add_get("/live", live)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    _, port = runner.addresses[0]
    assert await breaker._states(f"http://127.0.0.1:{port}") == {}
    await runner.cleanup()
    assert f"http://127.0.0.1:{port}" in capsys.readouterr().err
