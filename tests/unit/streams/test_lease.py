"""A member knows by the clock that it may have lost its partitions, and sends nothing then."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.protocol.group import HeartbeatResponse_v0, SyncGroupResponse_v0

from streams.memory.log import MemoryLog, MemorySender
from streams.records import OutgoingEntries, OutgoingRecord
from streams.runtime.consumer import LEASE_S, SESSION_S, LaneConsumer
from streams.runtime.lease import Lease, LeasedSender
from tests.unit.streams.whole import TakesWhole

RECORD = OutgoingRecord(topic="t", key=b"k", value=b"v")
REBALANCE_IN_PROGRESS, UNKNOWN_MEMBER, ILLEGAL_GENERATION = 27, 25, 22


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lease(clock: Clock) -> Lease:
    return Lease(LEASE_S, clock)


async def ask(lease: Lease, response: Any) -> None:
    """Let the coordinator answer a request."""

    async def send(node: int, request: object, *, group: object) -> Any:
        return response

    assert await lease.renewing(send)(1, "request", group="coordination") is response


def test_the_lease_ends_before_the_session() -> None:
    assert 0 < LEASE_S < SESSION_S


def test_a_member_that_the_group_never_confirmed_has_no_lease(lease: Lease) -> None:
    assert not lease.is_held


@pytest.mark.parametrize(
    "response",
    [
        SyncGroupResponse_v0(error_code=0, member_assignment=b""),
        HeartbeatResponse_v0(error_code=0),
        HeartbeatResponse_v0(error_code=REBALANCE_IN_PROGRESS),
    ],
)
async def test_the_lease_runs_from_each_confirmation(
    lease: Lease, clock: Clock, response: Any
) -> None:
    await ask(lease, response)
    clock.now += LEASE_S - 0.1
    assert lease.is_held
    clock.now += 0.2
    assert not lease.is_held


@pytest.mark.parametrize(
    "response",
    [
        HeartbeatResponse_v0(error_code=UNKNOWN_MEMBER),
        HeartbeatResponse_v0(error_code=ILLEGAL_GENERATION),
        SyncGroupResponse_v0(error_code=REBALANCE_IN_PROGRESS, member_assignment=b""),
        SimpleNamespace(API_KEY=1, error_code=0),
        None,
    ],
)
async def test_other_answers_confirm_nothing(lease: Lease, response: Any) -> None:
    await ask(lease, response)
    assert not lease.is_held


async def test_an_answer_that_was_asked_for_before_a_freeze_does_not_renew_the_lease(
    lease: Lease, clock: Clock
) -> None:
    async def send() -> Any:
        clock.now += SESSION_S
        return HeartbeatResponse_v0(error_code=0)

    await lease.renewing(send)()
    assert not lease.is_held


async def test_nothing_is_sent_without_the_lease_until_the_group_confirms_the_member(
    lease: Lease,
) -> None:
    log = MemoryLog()
    sending = asyncio.create_task(LeasedSender(MemorySender(log), lease).send(RECORD))
    await asyncio.wait({sending}, timeout=0.05)
    assert log.topic("t") == []
    await ask(lease, HeartbeatResponse_v0(error_code=0))
    await sending
    assert [record.value for record in log.topic("t")] == [b"v"]


async def test_entries_that_go_whole_wait_for_the_lease_too(lease: Lease) -> None:
    sender = TakesWhole()
    whole = OutgoingEntries("t", 0, [(b"k", b"v")])
    sending = asyncio.create_task(LeasedSender(sender, lease).send_whole(whole))
    await asyncio.wait({sending}, timeout=0.05)
    assert sender.given == []
    await ask(lease, HeartbeatResponse_v0(error_code=0))
    assert await sending is sender.receipt
    assert sender.given == [whole]


class Asked:
    """Progress that notes what is asked of it."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def committable(self) -> dict[Any, int]:
        """Nothing."""
        self.calls.append("committable")
        return {}

    async def drain(self, deadline_s: float) -> None:
        """Nothing is in work."""
        self.calls.append("drain")

    async def close(self) -> None:
        """Nothing is open."""
        self.calls.append("close")


@pytest.mark.parametrize(
    ("response", "calls"),
    [
        (HeartbeatResponse_v0(error_code=0), ["drain", "committable", "close"]),
        (HeartbeatResponse_v0(error_code=UNKNOWN_MEMBER), ["close"]),
    ],
)
async def test_lanes_are_drained_only_while_the_lease_is_held(
    lease: Lease, response: Any, calls: list[str]
) -> None:
    progress = Asked()
    transport = SimpleNamespace(stop_reading=lambda: None, lease=lease, progress=progress)
    consumer = SimpleNamespace(
        transport=transport,
        app=SimpleNamespace(consumer_generation_id=1),
        _commit_offsets=_commit_nothing,
        _unacked_messages=(),
    )
    await ask(lease, response)
    await LaneConsumer.wait_empty(consumer)  # type: ignore[arg-type]  # what it uses of itself
    assert progress.calls == calls


async def _commit_nothing(offsets: object) -> bool:
    return True
