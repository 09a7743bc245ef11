"""What `wundr dlq` orders is carried out by a real worker, in the order of each aggregate."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from schemas.topics import dead_letter_topic, retry_topic
from streams.kafka.reader import KafkaReader
from streams.parking.letter import LetterState
from streams.parking.letters import Backlog, Letters, LettersReading
from tests.integration.infra.wundr_command import wundr
from tests.integration.runtime.tally import POISON
from tests.integration.runtime.team import CODEC, Team

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

DEADLINE_S = 40.0


@dataclass
class Desk:
    """`wundr dlq` beside the workers of a team."""

    team: Team
    folder: Path
    settings: dict[str, str]

    async def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """One command to its end."""
        return await asyncio.to_thread(lambda: wundr(self.folder, "dlq", *words, **self.settings))

    async def letters(self) -> Backlog:
        """The letters as they are now."""
        topics = [dead_letter_topic(self.team.name), retry_topic(self.team.name)]
        reading = LettersReading(KafkaReader(self.team.kafka, topics), Letters())
        await reading.start()
        await reading.catch_up()
        await reading.close()
        return Backlog(reading.letters.live())

    async def until(self, condition: Callable[[Backlog], bool]) -> Backlog:
        """The letters, once they are as they are to be."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                backlog = await self.letters()
                if condition(backlog):
                    return backlog


@pytest.fixture
async def desk(team: Team, kafka_bootstrap: str, fresh_database: str, working_folder: Path) -> Desk:
    await team.start("one")
    await team.until_live("one", "ready")
    return Desk(
        team=team,
        folder=working_folder,
        settings={
            "WUNDR_PROVIDER": "external",
            "WUNDR_KAFKA_BOOTSTRAP": kafka_bootstrap,
            "WUNDR_POSTGRES_DSN": fresh_database,
        },
    )


def has_parked(parked: int, behind: int) -> Callable[[Backlog], bool]:
    return lambda backlog: (backlog.counts.parked, backlog.counts.behind) == (parked, behind)


async def alerts_of(team: Team) -> list[dict[str, Any]]:
    """The data of the alerts about an app."""
    reader = KafkaReader(team.kafka, ["events.system.high"])
    await reader.start()
    ends, at, found = await reader.end(), dict(await reader.beginning()), []
    while any(at[source] < end for source, end in ends.items()):
        for source, records in (await reader.read()).items():
            at[source] = records[-1].offset + 1
            found += [CODEC.view(record.value or b"") for record in records]
    await reader.close()
    return [
        dict(event.payload)
        for event in found
        if event.type == "system.alert.raised" and event.payload["app"] == team.name
    ]


async def test_a_parked_event_is_named_redriven_in_vain_edited_and_handled(desk: Desk) -> None:
    team = desk.team
    await team.send(1, error=POISON)
    await team.send(3)
    backlog = await desk.until(has_parked(1, 1))
    (head,) = [it for it in backlog.heads() if it.state is LetterState.PARKED]
    assert (head.handler, head.reason, head.tries) == ("look", "ValueError", 3)

    again = await desk.run("redrive", head.id, "--json")
    assert again.returncode == 1, again.stderr
    summary = json.loads(again.stdout)
    assert (summary["done"], summary["failedAgain"]) == (0, 1)
    assert summary["letters"][0]["lastError"] == "ValueError: cannot be handled"
    assert has_parked(1, 1)(await desk.letters())

    shown = await desk.run("show", head.id, "--json")
    event = json.loads(shown.stdout)["event"]
    data = json.dumps(event["data"] | {"error": None})
    edited = await desk.run("edit", head.id, "--data", data, "--reason", "a test")
    assert edited.returncode == 0, edited.stdout + edited.stderr
    await desk.until(has_parked(0, 0))
    await team.until_exact()


async def test_a_dropped_event_lets_those_behind_it_go_on(desk: Desk) -> None:
    team = desk.team
    await team.send(2, error=POISON)
    await team.send(2)
    await desk.until(has_parked(2, 2))
    refused = await desk.run("drop", "--app", team.name, "--handler", "nobody", "--yes")
    assert (refused.returncode, refused.stdout.split(":")[0]) == (0, "0 ordered")
    dropped = await desk.run("drop", "--app", team.name, "--error", "ValueError", "--yes")
    assert dropped.returncode == 0, dropped.stdout + dropped.stderr
    assert "2 ordered: 2 dropped" in dropped.stdout
    await desk.until(has_parked(0, 0))
    await team.until_exact()


async def test_orders_that_were_given_without_a_worker_are_carried_out_by_the_next_one(
    desk: Desk,
) -> None:
    team = desk.team
    await team.send(1, error=POISON)
    await desk.until(has_parked(1, 0))
    await team.stop("one")
    waiting = await desk.run("drop", "--app", team.name, "--all", "--patience", "0.5")
    assert waiting.returncode == 1
    assert "no worker has carried out what was ordered about" in waiting.stderr
    await team.start("one")
    await desk.until(has_parked(0, 0))


async def test_parked_events_raise_an_alert_that_everybody_can_read(desk: Desk) -> None:
    await desk.team.send(1, error=POISON)
    await desk.until(has_parked(1, 0))
    raised = await _until_some(lambda: alerts_of(desk.team))
    assert [(it["handler"], it["reason"], it["state"]) for it in raised] == [
        ("look", "ValueError", "parked")
    ]


async def _until_some(ask: Callable[[], Awaitable[list[dict[str, Any]]]]) -> list[dict[str, Any]]:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            found = await ask()
            if found:
                return found
