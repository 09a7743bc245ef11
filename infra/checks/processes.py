"""Processes of the application: whether each answers, and what it says it waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import psutil

from infra.finding import Finding
from infra.stack.processes import RecordedProcess, Verdict, verdict_on

CHECK: Final = "processes"
PAGES: Final = ("/ready", "/live")
ANSWER_S: Final = 2.0
"""A loop that answers later does not go on with its work either."""

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


async def ask_all(recorded: Mapping[str, RecordedProcess]) -> list[Answer]:
    """Ask each running process for its page; those without one are left out."""
    found = [(name, it.pid, listening_ports(it.pid)) for name, it in running(recorded).items()]
    async with aiohttp.ClientSession() as http:
        return list(
            await asyncio.gather(
                *(_ask(http, name, pid, ports) for name, pid, ports in found if ports)
            )
        )


def listening_ports(pid: int) -> list[int]:
    """The loopback ports on which a process listens."""
    try:
        connections = psutil.Process(pid).net_connections(kind="inet")
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []
    return sorted({it.laddr.port for it in connections if it.status == psutil.CONN_LISTEN})


async def _ask(http: aiohttp.ClientSession, name: str, pid: int, ports: Sequence[int]) -> Answer:
    for port in ports:
        for page in PAGES:
            answer = await _get(http, f"http://127.0.0.1:{port}{page}")
            if answer is not None and answer[0] != NOT_FOUND:
                return Answer(name=name, pid=pid, status=answer[0], page=answer[1])
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
    if page.get("reasons"):
        return "; ".join(f"{name}: {why}" for name, why in page["reasons"].items())
    if page.get("alarms"):
        return "; ".join(map(str, page["alarms"]))
    pause = page.get("pause")
    if isinstance(pause, dict):
        return f"it waits for {pause.get('waiting_for')} ({pause.get('reason')})"
    if page.get("waiting_for"):
        return f"it waits ({page['waiting_for']})"
    if page.get("ready") is False:
        return "it joins its group or recovers its tables"
    return ""


def _next(page: Mapping[str, Any]) -> str:
    pause = page.get("pause")
    if isinstance(pause, dict):
        return "bring back what it waits for; it goes on by itself then"
    return "wait a moment, then wundr doctor again; look at its log if it stays so"
