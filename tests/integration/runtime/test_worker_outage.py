"""A worker whose broker goes away in the middle: it goes on by itself and counts exactly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from streams.settings import KafkaSettings
from tests.integration.runtime.team import PARTITIONS, Team
from tests.integration.streams.own_broker import OwnBroker

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


@pytest.fixture
async def broker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OwnBroker]:
    """A broker of this test alone."""
    broker = await asyncio.to_thread(OwnBroker, tmp_path_factory.mktemp("broker"))
    await asyncio.to_thread(broker.start)
    yield broker
    if broker.is_running:
        await asyncio.to_thread(broker.kill)


@pytest.fixture
def kafka(broker: OwnBroker) -> KafkaSettings:
    """Instead of the broker that all share; who sends waits until it is back, as workers do."""
    return KafkaSettings(
        bootstrap=broker.bootstrap, partitions=PARTITIONS, acknowledge_timeout_s=None
    )


async def test_a_worker_outlives_its_broker_and_loses_and_repeats_nothing(
    team: Team, broker: OwnBroker, tmp_path: Path
) -> None:
    await team.start("one")
    await team.send(100)
    await team.until_exact()
    async with team.under_load():
        await asyncio.to_thread(broker.kill)
        # Long enough for the worker to notice, on a send, a fetch, a commit and a heartbeat.
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(team.workers["one"].wait(), 5)
        await asyncio.to_thread(broker.start)
    await team.until_exact()
    assert team.workers["one"].returncode is None
    assert await team.dead_letters() == []
