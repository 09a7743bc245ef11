"""Failed events of a worker that is killed: none is lost, and each aggregate keeps its order."""

from __future__ import annotations

import asyncio
import signal
from collections import defaultdict
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from schemas.events.domain import AnalysisFileProcessed
from schemas.headers import event_headers
from streams.kafka.fetcher import KafkaFetcher
from streams.kafka.sender import KafkaSender
from streams.parking.letter import Letter, LetterState
from streams.parking.loading import load_entries
from streams.parking.orders import Order, OrderKind
from streams.records import OutgoingRecord
from streams.settings import KafkaSettings
from tests.integration.runtime.conftest import team_of
from tests.integration.runtime.parked import Point, parked_app
from tests.integration.runtime.tally import POISON
from tests.integration.runtime.team import CODEC, FACTORY, PARTITIONS, Team, send_all

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

FILES = 12
ROUNDS = 6
POISONED = frozenset({1, 5, 9})
"""The second event of these files fails; four more wait behind each."""

Handled = dict[str, list[int]]


@pytest.fixture
async def parking(
    kafka: KafkaSettings, unique: str, tmp_path: Path, sender: KafkaSender
) -> AsyncIterator[Team]:
    """A team whose handler fails until it is healed."""
    module = "tests.integration.runtime.parked"
    team = Team(kafka=kafka, name=unique, folder=tmp_path, sender=sender, module=module)
    async with team_of(parked_app(unique, team.healed, tmp_path / "handled"), team):
        yield team


async def publish(team: Team) -> None:
    records = []
    for number in range(ROUNDS):
        for file in range(FILES):
            event = FACTORY.create(
                AnalysisFileProcessed(
                    analysis_id="a",
                    project_id="p",
                    path=f"file-{file}",
                    lines=number,
                    functions=0,
                    classes=0,
                    error=POISON if number == 1 and file in POISONED else None,
                ),
                aggregate_id=f"file-{file}",
            )
            topic, value = f"events-{team.name}", CODEC.encode(event)
            headers = event_headers(event)
            records.append(OutgoingRecord(topic, event.key.encode(), value, headers))
    await send_all(team.sender, records)


def handled(team: Team) -> Handled:
    """Of each file, the numbers that were handled, each where it was first."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for line in (team.folder / "handled").read_text().splitlines():
        path, number = line.split()
        if int(number) not in found[path]:
            found[path].append(int(number))
    return dict(found)


async def letters(team: Team) -> list[Letter]:
    entries = await load_entries(
        partial(KafkaFetcher, team.kafka), team.name, f"{team.name}.main", range(PARTITIONS)
    )
    return [entry.letter for entry in entries]


async def until_parked(team: Team) -> list[Letter]:
    """Wait until three events are parked, with all that stands behind them."""
    expected = {LetterState.PARKED: len(POISONED), LetterState.BEHIND: 4 * len(POISONED)}
    async with asyncio.timeout(60):
        while True:
            found = await letters(team)
            states = [letter.state for letter in found]
            if {state: states.count(state) for state in set(states)} == expected:
                return [it for it in found if it.state is LetterState.PARKED]
            await asyncio.sleep(0.2)


async def until_nothing_waits(team: Team) -> None:
    async with asyncio.timeout(60):
        while await letters(team):  # noqa: ASYNC110  # it is another process
            await asyncio.sleep(0.2)


async def redrive(team: Team, parked: list[Letter]) -> None:
    orders = [Order(app=team.name, letter_id=it.id, kind=OrderKind.REDRIVE) for it in parked]
    await send_all(team.sender, [order.encode() for order in orders])


@pytest.mark.parametrize("times", [1, 7])
async def test_a_kill_between_a_letter_and_its_offset_loses_and_reorders_nothing(
    parking: Team, times: int
) -> None:
    await parking.start("one", f"--die-at={Point.KEPT}", f"--times={times}")
    await publish(parking)
    assert await parking.ended("one") == -signal.SIGKILL
    await parking.start("one")
    parked = await until_parked(parking)
    assert {it.tries for it in parked} == {3}
    assert all(handled(parking)[f"file-{file}"] == [0] for file in POISONED)
    parking.healed.touch()
    await redrive(parking, parked)
    await until_nothing_waits(parking)
    expected = list(range(ROUNDS))
    assert handled(parking) == {f"file-{file}": expected for file in range(FILES)}


@pytest.mark.parametrize("point", [Point.TRIED, Point.SETTLED])
async def test_a_kill_in_the_middle_of_a_redrive_loses_and_reorders_nothing(
    parking: Team, point: Point
) -> None:
    await parking.start("one")
    await publish(parking)
    parked = await until_parked(parking)
    assert await parking.stop("one") == 0
    await parking.start("one", f"--die-at={point}", "--times=1")
    await parking.until_live("one", "ready")
    parking.healed.touch()
    await redrive(parking, parked)
    assert await parking.ended("one") == -signal.SIGKILL
    await parking.start("two")
    await until_nothing_waits(parking)
    expected = list(range(ROUNDS))
    assert handled(parking) == {f"file-{file}": expected for file in range(FILES)}


async def test_a_kill_in_the_middle_of_a_retry_loses_and_reorders_nothing(parking: Team) -> None:
    await parking.start("one", f"--die-at={Point.TRIED}", "--times=2")
    await publish(parking)
    assert await parking.ended("one") == -signal.SIGKILL
    parking.healed.touch()
    await parking.start("one")
    await until_nothing_waits(parking)
    expected = list(range(ROUNDS))
    assert handled(parking) == {f"file-{file}": expected for file in range(FILES)}


async def test_what_waits_moves_with_its_partitions(parking: Team) -> None:
    await parking.start("one")
    await publish(parking)
    parked = await until_parked(parking)
    await parking.start("two")
    await parking.until_shared("one", "two")
    parking.healed.touch()
    await redrive(parking, parked)
    await until_nothing_waits(parking)
    assert all(handled(parking)[f"file-{file}"] == list(range(ROUNDS)) for file in POISONED)
