"""`wundr status` knows which processes are ready, and why others are not."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from infra.commands.status import _text
from infra.process_pages import note_of, pages_place, process_states
from infra.settings import Settings, load_settings
from streams.pages import LOOPBACK, Pages, note, served


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a folder of its own."""
    return load_settings({"WUNDR_STATE_DIR": str(tmp_path / ".wundr")})


async def test_a_process_that_is_not_ready_is_shown_with_its_reason(
    settings: Settings, tmp_path: Path
) -> None:
    pages = Pages(dict)
    pages.readiness.add("subscription main", lambda: "tables are being recovered")
    async with served(pages, pages_place(settings, "worker-team.app:app", 0, LOOPBACK)) as url:
        found = await asyncio.to_thread(lambda: dict(process_states(tmp_path / ".wundr")))
    (name, state), *others = found.items()
    assert not others
    assert name == f"worker-team.app_app-{os.getpid()}"
    assert (state.ready, state.url) == (False, url)
    shown = _text(
        {
            "running": True,
            "provider": "embedded",
            "kafka": "k:1",
            "processes": {},
            "application": {},
            "pages": {name: state.as_mapping()},
        }
    )
    assert f"{name} not ready  {url}" in shown
    assert "subscription main: tables are being recovered" in shown


def test_who_does_not_answer_is_not_ready_and_who_was_killed_is_left_out(
    settings: Settings, tmp_path: Path, unused_tcp_port: int
) -> None:
    file = note_of(settings, "sink")
    note(file, LOOPBACK, unused_tcp_port)
    killed = file.with_name("relay-1.json")
    killed.write_text(json.dumps({**json.loads(file.read_text()), "pid": 2**22 + 1}))
    file.with_name("torn.json").write_text("{")
    ((name, state),) = process_states(tmp_path / ".wundr")
    assert name == f"sink-{os.getpid()}"
    assert not state.ready
    assert "no answer" in state.reasons["pages"]


async def test_an_answer_of_somebody_else_on_that_port_is_not_believed(
    settings: Settings, tmp_path: Path
) -> None:
    async with served(Pages(dict), pages_place(settings, "sink", 0, LOOPBACK)):
        file = note_of(settings, "sink")
        told = json.loads(file.read_text())
        file.write_text(json.dumps({**told, "pid": os.getppid()}))
        ((_, state),) = await asyncio.to_thread(lambda: [*process_states(tmp_path / ".wundr")])
    assert state.reasons == {"pages": "somebody else answers there"}


@pytest.mark.parametrize(
    "answer",
    [
        b"no http at all\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n[1, 2]",
        b"HTTP/1.0 200 OK\r\n\r\n<html>",
        f'HTTP/1.0 200 OK\r\n\r\n{{"pid": {os.getpid()}, "paused": [1]}}'.encode(),
    ],
)
async def test_whoever_answers_something_else_is_not_ready(
    settings: Settings, tmp_path: Path, answer: bytes
) -> None:
    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(reply, LOOPBACK, 0)
    note(note_of(settings, "sink"), LOOPBACK, server.sockets[0].getsockname()[1])
    ((_, state),) = await asyncio.to_thread(lambda: [*process_states(tmp_path / ".wundr")])
    server.close()
    assert not state.ready
