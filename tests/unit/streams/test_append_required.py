"""No way of publishing takes an event that only append() may write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import pytest

from infra.cli import run
from infra.commands import events as command
from infra.stack.endpoints import Endpoints
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event
from schemas.event_data import EventData
from schemas.topics import SCHEMAS_TOPIC
from streams.app import App
from streams.bus.memory import MemoryBus
from streams.context import Context
from streams.errors import AppendRequired
from streams.expectation import NO_EVENTS
from streams.memory.appender import MemoryEventAppender
from streams.memory.log import MemoryLog
from streams.memory.schemas import MemoryWriterSchemas
from streams.memory.worker import MemoryWorker
from streams.parking.letter import REASON
from tests.contracts.accounts import CATALOG, opened, published

TOPIC = "events.domain.high"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountOpened(EventData):
    """As a team's generated class would be."""

    event_type: ClassVar[str] = "account.opened"
    schema_version: ClassVar[str] = "1.0.0"

    account_id: str

    def to_wire(self) -> dict[str, Any]:
        return {"accountId": self.account_id, "owner": "Ada"}

    @classmethod
    def from_wire(cls, payload: Mapping[str, Any]) -> Self:
        return cls(account_id=payload["accountId"])


async def test_a_bus_refuses_it_alone_and_in_a_batch_and_sends_nothing() -> None:
    log = MemoryLog()
    bus = MemoryBus("test", log, CATALOG)
    with pytest.raises(AppendRequired, match=r"account\.opened belongs to Account"):
        await bus.publish(opened("a"))
    with pytest.raises(AppendRequired):
        await bus.publish_batch([published(), opened("a")])
    assert log.topic(TOPIC) == log.topic("events.system.normal") == log.topic(SCHEMAS_TOPIC) == []
    await bus.close()


async def test_a_handler_that_publishes_it_fails_and_one_that_appends_it_succeeds() -> None:
    log, codec, app = MemoryLog(), Codec(CATALOG), App("bank")
    appender = MemoryEventAppender(log, CATALOG, codec, MemoryWriterSchemas(log, codec))

    @app.on("system.worker.started")
    async def publishes(event: Event[Any], context: Context) -> None:
        await context.publish(AccountOpened(account_id="published"))

    @app.on("system.worker.started")
    async def appends(event: Event[Any], context: Context) -> None:
        await appender.append([opened("appended")], NO_EVENTS, command_id=event.id)

    bus = MemoryBus("test", log, CATALOG)
    cause = published()
    for event in (cause, cause):
        await (await bus.publish(event))
    await MemoryWorker(app, log, CATALOG, sleep=at_once).run_until_idle()
    reasons = {letter.header(REASON) for letter in log.topic("dlq.bank")}
    assert reasons == {b"streams.append_required"}
    assert [record.key for record in log.topic(TOPIC)] == [b"Account/appended"]


async def test_a_conflict_that_comes_back_each_time_stops_nobody_else() -> None:
    log, codec, app = MemoryLog(), Codec(CATALOG), App("bank")
    appender = MemoryEventAppender(log, CATALOG, codec, MemoryWriterSchemas(log, codec))

    @app.on("system.worker.started")
    async def appends(event: Event[Any], context: Context) -> None:
        await appender.append([opened("appended")], NO_EVENTS)

    bus = MemoryBus("test", log, CATALOG)
    for _ in range(2):
        await (await bus.publish(published()))
    await MemoryWorker(app, log, CATALOG, sleep=at_once).run_until_idle()
    [letter] = log.topic("dlq.bank")
    assert letter.header(REASON) == b"streams.version_conflict"


async def at_once(_seconds: float) -> None:
    """Wait for nothing."""


def test_the_command_refuses_it_and_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Catalog, "load", lambda: CATALOG)
    nowhere = Endpoints(
        kafka_bootstrap="127.0.0.1:1", postgres_dsn="postgresql://nowhere/x", provider="none"
    )
    monkeypatch.setattr(command, "require_endpoints", lambda _settings: nowhere)
    data = '{"accountId": "a", "owner": "Ada"}'
    assert run(["events", "publish", "account.opened", data]) == 1
    told = capsys.readouterr().err
    assert "account.opened belongs to Account, which is appended" in told
    assert "append()" in told
