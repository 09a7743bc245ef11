"""A breaker in a real worker: its dependency goes away and comes back, nothing is lost."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from infra.commands import breaker as command
from schemas.event import Event
from streams.breakers import breaker_key
from streams.control import Order, give_order
from streams.kafka.reader import KafkaReader
from streams.kafka.sender import KafkaSender
from tests.integration.runtime.mailing import mailing_app
from tests.integration.runtime.team import CODEC, PARTITIONS, Team

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(150)]

OPENS_WITHIN_S = 5.0
SUCCEEDS_WITHIN_S = 15.0
CPU_SHARE = 0.2


class Mailer:
    """A TCP server that says `ok` to each line, at a port that it keeps while it is away."""

    def __init__(self) -> None:
        self.port = 0
        self.mailed: dict[str, float] = {}
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        if line:
            self.mailed.setdefault(line.decode().strip(), time.monotonic())
            writer.write(b"ok\n")
        writer.close()


@pytest.fixture
async def mailer() -> AsyncIterator[Mailer]:
    """Open."""
    mailer = Mailer()
    await mailer.open()
    yield mailer
    await mailer.close()


async def until(condition: Callable[[], bool], what: str, seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not in {seconds} s: {what}"
        await asyncio.sleep(0.02)


async def breaker_of(team: Team) -> dict[str, Any]:
    _, live = await team.page("one", "/live")
    (breaker,) = live["breakers"]
    return dict(breaker)


async def until_breaker(team: Team, what: str, value: object, seconds: float = 30) -> float:
    """Wait until the breaker says so; how long it took."""
    began = time.monotonic()
    while (await breaker_of(team))[what] != value:
        assert time.monotonic() < began + seconds, f"not in {seconds} s: {what} is {value}"
        await asyncio.sleep(0.05)
    return time.monotonic() - began


def noted(team: Team) -> list[str]:
    file = team.folder / "one" / "noted"
    return file.read_text().split() if file.exists() else []


def cpu_s(pid: int) -> float:
    """The time that a process has computed, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def told_events(team: Team) -> list[Event[Any]]:
    """What was told of the breakers of this team, in order."""
    reader = KafkaReader(team.kafka, ["events.system.high"])
    await reader.start()
    try:
        ends = await reader.end()
        found: list[Event[Any]] = []
        nexts = dict(await reader.beginning())
        while any(nexts[source] < end for source, end in ends.items()):
            for source, records in (await reader.read()).items():
                nexts[source] = records[-1].offset + 1
                found += [CODEC.view(record.value or b"") for record in records]
    finally:
        await reader.close()
    ours = [it for it in found if it.type.startswith("system.breaker.")]
    ours = [it for it in ours if it.data.app == team.name]
    return sorted(ours, key=lambda event: event.timestamp_ms)


async def test_a_dependency_that_goes_away_and_comes_back_loses_nothing_and_holds_up_nobody(
    mail_team: Team, mailer: Mailer, record_property: Callable[[str, object], None]
) -> None:
    await mail_team.start("one", "--port", str(mailer.port))
    await mail_team.send(50)
    await until(lambda: len(mailer.mailed) == 50, "all is mailed")
    await mailer.close()
    sending = asyncio.create_task(mail_team.send(200))
    opened_s = await until_breaker(mail_team, "state", "open")
    await sending
    # One try at a time goes through from now on.
    worker = mail_team.workers["one"]
    began, computed = time.monotonic(), cpu_s(worker.pid)
    await until(lambda: len(noted(mail_team)) == 250, "the other subscription goes on")
    await asyncio.sleep(max(0.0, began + 6 - time.monotonic()))
    share = (cpu_s(worker.pid) - computed) / (time.monotonic() - began)
    _, live = await mail_team.page("one", "/live")
    assert "breaker mailer is" in live["subscriptions"]["mailer"]["pause"]["reason"]
    assert live["subscriptions"]["main"]["pause"] is None
    status, ready = await mail_team.page("one", "/ready")
    assert status == 200
    assert list(ready["paused"]) == ["mailer"]
    came_back = time.monotonic()
    await mailer.open()
    await until(lambda: len(mailer.mailed) > 50, "one is mailed again")
    first_success_s = min(at for at in mailer.mailed.values() if at >= came_back) - came_back
    await until(lambda: len(mailer.mailed) == 250, "all is mailed")
    assert (await breaker_of(mail_team))["state"] == "closed"
    assert await mail_team.dead_letters() == []
    record_property("opened_s", round(opened_s, 2))
    record_property("cpu_share_while_open", round(share, 3))
    record_property("first_success_s", round(first_success_s, 2))
    assert opened_s <= OPENS_WITHIN_S
    assert first_success_s <= SUCCEEDS_WITHIN_S
    assert share < CPU_SHARE
    assert await mail_team.stop("one") == 0
    told = await told_events(mail_team)
    assert [it.type for it in told] == ["system.breaker.opened", "system.breaker.closed"]
    assert "ConnectionRefusedError" in told[0].data.reason
    assert told[1].data.open_for_ms >= 6_000


async def test_an_order_holds_a_breaker_in_every_worker_also_in_one_that_starts_later(
    mail_team: Team,
    mailer: Mailer,
    sender: KafkaSender,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command, "_kafka", lambda: mail_team.kafka)
    app = mailing_app(mail_team.name, mailer.port, mail_team.folder)

    async def order(value: Order | None) -> None:
        await give_order(sender, breaker_key(mail_team.name, "mailer"), value)

    await order({"state": "open", "reason": "it moves"})
    await mail_team.start("one", "--port", str(mailer.port))
    await mail_team.until_live("one", "ready")
    assert (await breaker_of(mail_team))["state"] == "open"
    await mail_team.send(20)
    await until(lambda: len(noted(mail_team)) == 20, "the other subscription goes on")
    # Nothing marks what is never tried but that others of its time are long done.
    await until_breaker(mail_team, "waiting", PARTITIONS)
    assert mailer.mailed == {}
    port = json.loads((mail_team.folder / "one" / "run.json").read_text())["port"]
    address = f"http://127.0.0.1:{port}"
    (row,) = await command._listed(app, [address])
    assert (row["name"], row["states"]) == ("mailer", {address: "open"})
    assert row["order"] == {"state": "open", "reason": "it moves"}
    await order(None)
    await until(lambda: len(mailer.mailed) == 20, "all is mailed", 5)
    assert await until_breaker(mail_team, "forced", value=False) < 5
    await mailer.close()
    await order({"state": "closed"})
    await until_breaker(mail_team, "forced", value=True)
    await mail_team.send(20)
    async with asyncio.timeout(30):
        while (await mail_team.page("one", "/live"))[1]["pause"] is None:  # noqa: ASYNC110  # a page
            await asyncio.sleep(0.05)
    assert (await breaker_of(mail_team))["state"] == "closed"
    await mailer.open()
    await until(lambda: len(mailer.mailed) == 40, "all is mailed")
    assert await mail_team.dead_letters() == []
