"""A process is wrong when it says so, or says nothing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import pytest
from aiohttp import web

from infra.checks.processes import Answer, answer_findings, ask_all, listening_ports, paused_groups
from infra.process_pages import NotedProcess
from infra.stack.processes import RecordedProcess, observe
from streams.breaker import BreakerState, CircuitBreaker
from streams.breakers import Gate
from streams.errors import BreakerOpen
from streams.pages import LOOPBACK, Pages, PagesPlace, served
from streams.policies import Breaker

Page = Callable[[web.Request], Awaitable[web.Response]]


def answer(page: Mapping[str, Any] | None, status: int = 200) -> Answer:
    return Answer(name="worker-1", pid=7, status=status, page=page)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (answer(None), "has stalled"),
        (answer({"ready": False, "reasons": {"lag": "offset 7 stands"}}, 503), "offset 7 stands"),
        (answer({"ready": False}), "joins its group"),
        (
            answer({"ready": True, "pause": {"waiting_for": "handler mail", "reason": "away"}}),
            "handler mail",
        ),
        (
            answer(
                {
                    "ready": True,
                    "reasons": {},
                    "paused": {"mailer": {"waiting_for": "handler mail", "reason": "away"}},
                }
            ),
            "mailer waits for handler mail (away)",
        ),
        (
            answer({"ready": True, "breakers": [{"name": "m", "state": "open", "reason": "away"}]}),
            "breaker m is open (away)",
        ),
        (
            answer({"breakers": [{"name": "m", "state": "closed", "forced": True, "reason": "x"}]}),
            "breaker m is held closed (x)",
        ),
        (answer({"status": "waiting", "waiting_for": "broker"}), "broker"),
        (answer({"waiting_for": {}, "alarms": ["old rows"]}), "old rows"),
        (answer({}, 503), "status 503"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_do(given: Answer, words: str) -> None:
    (finding,) = answer_findings([given])
    assert words in finding.message
    assert "worker-1 (pid 7)" in finding.message
    assert finding.remedy


def held_open(*paused: str) -> Answer:
    """A worker of app rev, ready, with a breaker that is held open and what it pauses."""
    gate = Gate(CircuitBreaker("mailbox", Breaker("mailbox"), lambda: 0.0))
    gate.breaker.force(BreakerState.OPEN, "it moves")
    with pytest.raises(BreakerOpen) as refused:
        gate.admit()
    reason = f"BreakerOpen: {refused.value}"
    breaker = {"name": "mailbox", "state": "open", "forced": True, "reason": "it moves"}
    pauses = {name: {"waiting_for": "handler mail", "reason": reason} for name in paused}
    return answer({"app": "rev", "ready": True, "paused": pauses, "breakers": [breaker]})


def test_a_breaker_that_pauses_a_subscription_is_said_once_with_the_order_that_ends_it() -> None:
    (finding,) = answer_findings([held_open("mailer")])
    assert finding.message == (
        "worker-1 (pid 7) is ready, but mailer is paused by breaker mailbox, "
        "which is held open (it moves)"
    )
    assert finding.remedy == "wundr breaker release APP mailbox, when that is over"


def test_a_breaker_names_all_that_it_pauses_and_no_other() -> None:
    (finding,) = answer_findings([held_open("mailer", "main")])
    assert "mailer, main are paused by breaker mailbox" in finding.message
    (finding,) = answer_findings([held_open()])
    assert "is ready, but breaker mailbox is held open" in finding.message


def test_the_groups_of_what_waits_are_known_by_app_and_subscription() -> None:
    answers = [held_open("mailer"), answer(None), answer({"ready": True, "paused": {"x": {}}})]
    assert paused_groups(answers) == {"rev.mailer"}


def test_processes_that_are_ready_are_named_together() -> None:
    ready = [answer({"ready": True, "pause": None}), answer({"waiting_for": None, "alarms": []})]
    (finding,) = answer_findings(ready)
    assert finding.remedy is None


def test_without_processes_there_is_nothing_to_say() -> None:
    assert list(answer_findings([])) == []


@pytest.fixture
async def serving() -> AsyncIterator[Callable[[Page], Awaitable[None]]]:
    runners: list[web.AppRunner] = []

    async def serve(page: Page) -> None:
        app = web.Application()
        app.router.add_get("/live", page)
        runner = web.AppRunner(app)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()

    yield serve
    for runner in runners:
        await runner.cleanup()


def this_process() -> dict[str, RecordedProcess]:
    observed = observe(os.getpid())
    assert observed is not None
    mark = observed.command_line[0]
    return {"it": RecordedProcess(pid=os.getpid(), started=observed.started, mark=mark)}


async def test_a_process_is_asked_on_the_port_where_it_listens(
    serving: Callable[[Page], Awaitable[None]],
) -> None:
    async def live(request: web.Request) -> web.Response:
        return web.json_response({"ready": False})

    await serving(live)
    (found,) = await ask_all(this_process())
    assert found.page == {"ready": False}


async def test_a_process_that_tells_where_it_answers_is_asked_for_both_pages() -> None:
    pages = Pages(lambda: {"breakers": [{"name": "m", "state": "open", "reason": "away"}]})
    pages.readiness.show(lambda: {"paused": {"main": {"waiting_for": "x", "reason": "away"}}})
    async with served(pages, PagesPlace(port=0, host=LOOPBACK, note=None)) as url:
        noted = NotedProcess(name="worker-7", pid=os.getpid(), url=url)
        found = await ask_all(this_process(), [noted])
    (finding,) = answer_findings(found)
    assert "worker-7" in finding.message
    assert "main waits for x (away); breaker m is open (away)" in finding.message


async def test_a_process_that_never_answers_has_stalled(
    serving: Callable[[Page], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.checks.processes.ANSWER_S", 0.05)
    forever = asyncio.Event()

    async def silent(request: web.Request) -> web.Response:
        await forever.wait()
        return web.Response()

    await serving(silent)
    (found,) = await ask_all(this_process())
    forever.set()
    assert found.page is None


def test_a_process_that_is_gone_listens_nowhere() -> None:
    assert listening_ports(2**22 - 1) == []
