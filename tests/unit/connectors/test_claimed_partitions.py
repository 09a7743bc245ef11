import asyncio
from collections.abc import Iterable, Mapping

import pytest

from connectors.claimed_partitions import ClaimedPartitions
from connectors.errors import ForeignCluster
from connectors.sink_target import Claim
from streams.records import TopicPartition


class _Claiming:
    def __init__(self) -> None:
        self.epoch = 0

    async def __call__(self, partitions: Iterable[int]) -> Mapping[int, Claim]:
        self.epoch += 1
        return {partition: Claim(partition * 10, self.epoch) for partition in partitions}


def places(*partitions: int) -> list[TopicPartition]:
    return [TopicPartition("store.events", partition) for partition in partitions]


def claimed(patience_s: float = 0.0) -> ClaimedPartitions:
    return ClaimedPartitions("store.events", _Claiming(), revoke_patience_s=patience_s)


async def test_an_assignment_starts_where_the_database_stands() -> None:
    owned = claimed()
    assert await owned.assigned(places(2, 3)) == dict(zip(places(2, 3), (20, 30), strict=True))
    assert owned.snapshot() == {2: Claim(20, 1), 3: Claim(30, 1)}


async def test_a_revoked_partition_is_no_longer_owned() -> None:
    owned = claimed()
    await owned.assigned(places(2, 3))
    await owned.revoked(places(2))
    assert owned.snapshot() == {3: Claim(30, 1)}


async def test_a_revocation_waits_for_the_batch_in_work() -> None:
    owned = claimed(patience_s=60)
    await owned.assigned(places(2))
    async with owned.working:
        revocation = asyncio.create_task(owned.revoked(places(2)))
        await asyncio.sleep(0)
        assert owned.snapshot() == {2: Claim(20, 1)}
    await revocation
    assert owned.snapshot() == {}


async def test_a_revocation_does_not_wait_for_ever() -> None:
    owned = claimed(patience_s=0)
    await owned.assigned(places(2))
    async with owned.working:
        await owned.revoked(places(2))
    assert owned.snapshot() == {}


async def test_a_batch_of_an_earlier_claim_does_not_move_the_new_one() -> None:
    owned = claimed()
    await owned.assigned(places(2))
    earlier = owned.snapshot()
    await owned.assigned(places(2))
    owned.advance(earlier, {2: 25})
    assert owned.snapshot() == {2: Claim(20, 2)}
    owned.advance(owned.snapshot(), {2: 25})
    assert owned.snapshot() == {2: Claim(25, 2)}


async def test_an_assignment_is_settled_from_its_claim_to_the_next_revocation() -> None:
    owned = claimed()
    assert not await owned.settled(0)
    await owned.assigned(places(2))
    assert await owned.settled(0)
    await owned.revoked(places(2))
    assert not await owned.settled(0)
    await owned.assigned([])
    assert await owned.settled(0)


async def test_a_failed_claim_settles_the_assignment_so_that_its_error_is_met() -> None:
    async def refuse(_partitions: Iterable[int]) -> Mapping[int, Claim]:
        raise ForeignCluster("ours", ["theirs"])

    owned = ClaimedPartitions("store.events", refuse, revoke_patience_s=0)
    with pytest.raises(ForeignCluster):
        await owned.assigned(places(0))
    assert await owned.settled(0)
    assert owned.snapshot() == {}
