"""Processes of the application: whether each answers, and what it says it waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import psutil

from infra.finding import Finding
from infra.process_pages import NotedProcess
from infra.stack.processes import RecordedProcess, Verdict, verdict_on
from streams.breaker import BreakerState

CHECK: Final = "processes"
PAGES: Final = ("/ready", "/live")
ANSWER_S: Final = 2.0
"""A loop that answers later does not go on with its work either."""

CLOSED: Final = BreakerState.CLOSED.value
NOT_FOUND: Final = 404
FIRST_ERROR: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a process says of itself; `page` is None where it answered nothing in time."""

    name: str
    pid: int
    status: int = 200
    page: Mapping[str, Any] | None = None


def running(recorded: Mapping[str, RecordedProcess]) -> dict[str, RecordedProcess]:
    """The recorded processes that run."""
    return {name: it for name, it in recorded.items() if verdict_on(it) is Verdict.OURS}


def answer_findings(answers: Sequence[Answer]) -> Iterator[Finding]:
    """What is wrong with processes by their own words, or by their silence. Pure."""
    wrong = 0
    for answer in answers:
        reason = _reason(answer)
        if reason is not None:
            wrong += 1
            yield reason
    if answers and not wrong:
        names = ", ".join(answer.name for answer in answers)
        yield Finding(check=CHECK, message=f"ready: {names}")


async def ask_all(
    recorded: Mapping[str, RecordedProcess], noted: Iterable[NotedProcess] = ()
) -> list[Answer]:
    """Ask each process for its pages: those that tell where they answer, and recorded ones.

    Recorded ones that listen nowhere are left out.
    """
    asked = [(it.name, it.pid, [it.url]) for it in noted]
    told = {pid for _, pid, _ in asked}
    for name, it in running(recorded).items():
        ports = [] if it.pid in told else listening_ports(it.pid)
        if ports:
            asked.append((name, it.pid, [f"http://127.0.0.1:{port}" for port in ports]))
    async with aiohttp.ClientSession() as http:
        return list(
            await asyncio.gather(*(_ask(http, name, pid, urls) for name, pid, urls in asked))
        )


def listening_ports(pid: int) -> list[int]:
    """The loopback ports on which a process listens."""
    try:
        connections = psutil.Process(pid).net_connections(kind="inet")
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []
    return sorted({it.laddr.port for it in connections if it.status == psutil.CONN_LISTEN})


async def _ask(http: aiohttp.ClientSession, name: str, pid: int, urls: Sequence[str]) -> Answer:
    for url in urls:
        answers = [await _get(http, f"{url}{page}") for page in PAGES]
        found = [answer for answer in answers if answer is not None and answer[0] != NOT_FOUND]
        if found:
            status, _ = found[0]
            # `/live` says more; where both say something, `/ready` judges.
            page = {name: it for _, content in found[::-1] for name, it in content.items()}
            return Answer(name=name, pid=pid, status=status, page=page)
    return Answer(name=name, pid=pid)


async def _get(http: aiohttp.ClientSession, url: str) -> tuple[int, Mapping[str, Any]] | None:
    """Status and page; None where nothing that speaks HTTP answers in time."""
    try:
        async with asyncio.timeout(ANSWER_S), http.get(url) as response:
            content = await response.json(content_type=None)
            return response.status, content if isinstance(content, dict) else {}
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return None


def _reason(answer: Answer) -> Finding | None:
    what = f"{answer.name} (pid {answer.pid})"
    page = answer.page
    if page is None:
        return Finding(
            check=CHECK,
            message=f"{what} runs and does not answer within {ANSWER_S:g} s: it has stalled",
            remedy=f"look at its log; kill -TERM {answer.pid} ends it, its supervisor starts it "
            "again",
        )
    told = _told(page)
    if answer.status < FIRST_ERROR and not told:
        return None
    return Finding(
        check=CHECK,
        message=f"{what} is not ready: {told or f'it answers with status {answer.status}'}",
        remedy=_next(page),
    )


def _told(page: Mapping[str, Any]) -> str:
    """Why a process does not go on, as its page says it."""
    if isinstance(page.get("reasons"), dict) and page["reasons"]:
        return "; ".join(f"{name}: {why}" for name, why in page["reasons"].items())
    if page.get("alarms"):
        return "; ".join(map(str, page["alarms"]))
    waits = [*_pauses(page), *(_breaker(it) for it in _held_up(page))]
    if waits:
        return "; ".join(waits)
    if page.get("waiting_for"):
        return f"it waits ({page['waiting_for']})"
    if page.get("ready") is False:
        return "it joins its group or recovers its tables"
    return ""


def _pauses(page: Mapping[str, Any]) -> list[str]:
    """What its subscriptions wait for, each by its name where the page has names."""
    paused = page.get("paused")
    if isinstance(paused, dict) and paused:
        named = [(f"{name} ", it) for name, it in paused.items()]
    else:
        named = [("it ", page.get("pause"))]
    return [
        f"{name}waits for {it.get('waiting_for')} ({it.get('reason')})"
        for name, it in named
        if isinstance(it, dict)
    ]


def _held_up(page: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The breakers that are not closed by themselves."""
    breakers = page.get("breakers")
    return [
        it
        for it in (breakers if isinstance(breakers, list) else [])
        if isinstance(it, dict) and (it.get("state") != CLOSED or it.get("forced"))
    ]


def _breaker(told: Mapping[str, Any]) -> str:
    held = "is held" if told.get("forced") else "is"
    return f"breaker {told.get('name')} {held} {told.get('state')} ({told.get('reason')})"


def _next(page: Mapping[str, Any]) -> str:
    forced = [it for it in _held_up(page) if it.get("forced")]
    if forced:
        return f"wundr breaker release APP {forced[0].get('name')}, when that is over"
    if _pauses(page) or _held_up(page):
        return "bring back what it waits for; it goes on by itself then"
    return "wait a moment, then wundr doctor again; look at its log if it stays so"
