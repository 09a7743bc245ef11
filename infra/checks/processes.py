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
from streams.errors import BreakerOpen

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


def paused_groups(answers: Sequence[Answer]) -> set[str]:
    """The consumer groups of subscriptions that wait, by the words of their workers. Pure."""
    pages = [answer.page for answer in answers if answer.page is not None]
    return {
        f"{page['app']}.{name}"
        for page in pages
        if "app" in page and isinstance(page.get("paused"), dict)
        for name in page["paused"]
    }


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
    # What waits is ready all the same: nothing would be won if it were started again.
    state = "is ready, but" if page.get("ready") is True else "is not ready:"
    return Finding(
        check=CHECK,
        message=f"{what} {state} {told or f'it answers with status {answer.status}'}",
        remedy=_next(page),
    )


def _told(page: Mapping[str, Any]) -> str:
    """Why a process does not go on, as its page says it."""
    if isinstance(page.get("reasons"), dict) and page["reasons"]:
        return "; ".join(f"{name}: {why}" for name, why in page["reasons"].items())
    if page.get("alarms"):
        return "; ".join(map(str, page["alarms"]))
    if waits := _waits(page):
        return "; ".join(waits)
    if page.get("waiting_for"):
        return f"it waits ({page['waiting_for']})"
    if page.get("ready") is False:
        return "it joins its group or recovers its tables"
    return ""


def _waits(page: Mapping[str, Any]) -> list[str]:
    """What its subscriptions wait for, and its breakers with those that they pause."""
    pauses, breakers = _pauses(page), _held_up(page)
    others = {
        name: it
        for name, it in pauses.items()
        if not any(_is_paused_by(it, breaker) for breaker in breakers)
    }
    return [
        *(
            f"{name} waits for {it.get('waiting_for')} ({it.get('reason')})"
            for name, it in others.items()
        ),
        *(_breaker(it, pauses) for it in breakers),
    ]


def _pauses(page: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Its subscriptions that wait, each by its name where the page has names."""
    paused = page.get("paused")
    named = paused if isinstance(paused, dict) and paused else {"it": page.get("pause")}
    return {name: it for name, it in named.items() if isinstance(it, dict)}


def _is_paused_by(pause: Mapping[str, Any], breaker: Mapping[str, Any]) -> bool:
    """Whether the reason of a pause is this breaker: it begins with the error's name."""
    said = f"{BreakerOpen.__name__}: breaker {breaker.get('name')} "
    return str(pause.get("reason")).startswith(said)


def _held_up(page: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The breakers that are not closed by themselves."""
    breakers = page.get("breakers")
    return [
        it
        for it in (breakers if isinstance(breakers, list) else [])
        if isinstance(it, dict) and (it.get("state") != CLOSED or it.get("forced"))
    ]


def _breaker(told: Mapping[str, Any], pauses: Mapping[str, Mapping[str, Any]]) -> str:
    held = "is held" if told.get("forced") else "is"
    state = f"{held} {told.get('state')} ({told.get('reason')})"
    paused = [name for name, it in pauses.items() if _is_paused_by(it, told)]
    if not paused:
        return f"breaker {told.get('name')} {state}"
    verb = "is" if len(paused) == 1 else "are"
    return f"{', '.join(paused)} {verb} paused by breaker {told.get('name')}, which {state}"


def _next(page: Mapping[str, Any]) -> str:
    forced = [it for it in _held_up(page) if it.get("forced")]
    if forced:
        return f"wundr breaker release APP {forced[0].get('name')}, when that is over"
    if _pauses(page) or _held_up(page):
        return "bring back what it waits for; it goes on by itself then"
    return "wait a moment, then wundr doctor again; look at its log if it stays so"
