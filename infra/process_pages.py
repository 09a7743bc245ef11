"""Where the processes of a folder answer, and what they say: whether each is ready, or why not."""

from __future__ import annotations

import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Annotated, Any, Final

import psutil
import typer

from infra.settings import Settings
from infra.stack.local import absolute
from streams.pages import LOOPBACK, PagesPlace

FOLDER: Final = "pages"
ASK_S: Final = 2.0
"""How long a process may take for its answer."""

HttpPort = Annotated[
    int,
    typer.Option(min=0, max=65535, help="Port of /live, /ready and /metrics; 0 takes a free one."),
]
HttpHost = Annotated[
    str, typer.Option(help="Address of these pages; other workers of an app ask there, too.")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessState:
    """What a process of this folder says of itself."""

    pid: int
    url: str
    ready: bool
    reasons: Mapping[str, str] = field(default_factory=dict)
    paused: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """What its subscriptions wait for, each by its name."""

    def as_mapping(self) -> Mapping[str, Any]:
        """For `--json`."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotedProcess:
    """A process that has written down where it answers."""

    name: str
    pid: int
    url: str


def note_of(settings: Settings, name: str) -> Path:
    """The file in which a process tells where it answers, for as long as it runs."""
    plain = re.sub(r"[^\w.-]+", "_", name)
    return absolute(settings.state_dir) / FOLDER / f"{plain}-{os.getpid()}.json"


def pages_place(settings: Settings, name: str, port: int, host: str) -> PagesPlace:
    """Where the pages of a process are to be."""
    return PagesPlace(port=port, host=host, note=note_of(settings, name))


def process_states(state_dir: Path) -> Iterator[tuple[str, ProcessState]]:
    """Every process that tells where it answers, by its name; who was killed is left out."""
    for it in noted_processes(state_dir):
        yield it.name, _asked(it.pid, it.url)


def noted_processes(state_dir: Path) -> Iterator[NotedProcess]:
    """Every process that tells where it answers, not asked; who was killed is left out."""
    for file in sorted((state_dir / FOLDER).glob("*.json")):
        try:
            told = json.loads(file.read_text())
            pid, url = int(told["pid"]), f"http://{_reachable(told['host'])}:{int(told['port'])}"
        except (OSError, ValueError, KeyError, TypeError):
            continue  # it has just ended, or somebody else has written there
        if psutil.pid_exists(pid):
            yield NotedProcess(name=file.stem, pid=pid, url=url)


def _asked(pid: int, url: str) -> ProcessState:
    try:
        answer = _answer(f"{url}/ready")
    except (OSError, HTTPException, ValueError) as error:
        why = f"no answer: {str(error) or type(error).__name__}"
        return ProcessState(pid=pid, url=url, ready=False, reasons={"pages": why})
    if answer.get("pid") != pid:
        return ProcessState(
            pid=pid, url=url, ready=False, reasons={"pages": "somebody else answers there"}
        )
    return ProcessState(
        pid=pid,
        url=url,
        ready=answer.get("ready") is True,
        reasons=_mapping(answer, "reasons"),
        paused={name: it for name, it in _mapping(answer, "paused").items() if _is_pause(it)},
    )


def _answer(url: str) -> Mapping[str, Any]:
    try:
        with urllib.request.urlopen(url, timeout=ASK_S) as page:  # noqa: S310  # made above, of http
            answer = json.load(page)
    except urllib.error.HTTPError as refused:
        answer = json.load(refused)
    if not isinstance(answer, dict):
        raise ValueError("the page is no JSON object")  # noqa: TRY004  # of a value, not of an argument
    return answer


def _mapping(page: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """What a page says under a name; another program's page may say anything."""
    told = page.get(name)
    return told if isinstance(told, dict) else {}


def _is_pause(told: object) -> bool:
    return isinstance(told, dict) and {"reason", "waiting_for"} <= told.keys()


def _reachable(host: str) -> str:
    return LOOPBACK if host in {"0.0.0.0", "::"} else host  # noqa: S104  # nothing is bound here
