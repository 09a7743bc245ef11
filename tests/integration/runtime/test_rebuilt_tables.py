"""A worker that is told to rebuild its tables does so once for each partition that it gets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from pathlib import Path

import pytest

from streams.lane import Lanes
from streams.runtime.member import GroupMember, Membership
from streams.serial_lane import SerialLane
from streams.settings import KafkaSettings
from streams.table import Table
from streams.turns import AtOnce
from tests.integration.runtime.conftest import Recorder, make_failure_topics, until
from tests.integration.runtime.team import PARTITIONS
from tests.unit.streams.idle import NothingToRedo, idle_lot

pytestmark = pytest.mark.kafka

MakeTopics = Callable[..., Awaitable[None]]


@pytest.mark.parametrize("rebuilds", [True, False])
async def test_partitions_are_rebuilt_before_their_work_begins(
    kafka: KafkaSettings, make_topics: MakeTopics, unique: str, tmp_path: Path, rebuilds: bool
) -> None:
    topic, changelog = f"{unique}-events", f"{unique}-changelog"
    await make_topics(topic, changelog)
    await make_failure_topics(kafka, "team")
    membership = Membership(kafka=kafka, data_dir=tmp_path, rebuilds_tables=rebuilds)
    member = GroupMember(unique, membership, {"counts": changelog})
    rebuilt: list[int] = []

    async def rebuild(tables: Mapping[str, Table], partitions: Collection[int]) -> None:
        assert tables.keys() == {"counts"}
        assert not member.is_ready
        rebuilt.extend(partitions)

    member.rebuild_by(rebuild)
    lanes = Lanes(partial(SerialLane, Recorder(), AtOnce()))
    member.read_into(lanes, [topic], idle_lot(), NothingToRedo())
    await member.start()
    try:
        await until(lambda: member.is_ready, "the assignment")
        assert sorted(rebuilt) == (list(range(PARTITIONS)) if rebuilds else [])
    finally:
        await member.stop()
