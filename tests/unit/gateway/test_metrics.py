"""What a gateway node counts of broadcasts."""

from __future__ import annotations

from gateway.broadcast import Broadcast
from gateway.metrics import GatewayNumbers
from streams.records import TopicPartition

NOW_MS = 10_000.0


def broadcast(time_ms: int) -> Broadcast:
    """A broadcast of a time."""
    return Broadcast(
        source=TopicPartition("broadcast.system", 0),
        offset=0,
        time_ms=time_ms,
        room="system",
        type="analysis.started",
        id="e",
        packet="",
    )


def test_half_of_a_portion_is_as_old_as_its_first_and_half_as_its_last() -> None:
    numbers = GatewayNumbers()
    numbers.emitted([broadcast(6_000), broadcast(7_000), broadcast(8_000)], NOW_MS)
    assert (numbers.emit_s.count, numbers.emit_s.sum) == (3, 4.0 + 4.0 + 2.0)


def test_one_broadcast_counts_once_and_a_clock_behind_the_brokers_is_no_negative_time() -> None:
    numbers = GatewayNumbers()
    numbers.emitted([broadcast(12_000)], NOW_MS)
    assert (numbers.emit_s.count, numbers.emit_s.sum) == (1, 0.0)


def test_refusals_are_told_apart_by_their_code() -> None:
    numbers = GatewayNumbers()
    for code in ("gateway.bad_token", "gateway.bad_token", "gateway.origin_refused"):
        numbers.refused(code)
    found = {it.labels: it.value for it in numbers.samples() if it.labels}
    assert found == {("gateway.bad_token",): 2, ("gateway.origin_refused",): 1}
