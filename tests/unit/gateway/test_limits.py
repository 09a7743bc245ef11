import pytest

from gateway.errors import TooManyConnections
from gateway.limits import ConnectionLimits, TokenBucket


def limits(total: int = 10, per_address: int = 10, burst: float = 100) -> ConnectionLimits:
    bucket = TokenBucket(rate=1, burst=burst, refilled_at=0.0)
    return ConnectionLimits(total=total, per_address=per_address, arrivals=bucket)


def test_a_bucket_allows_its_burst_and_refills_at_its_rate() -> None:
    bucket = TokenBucket(rate=2, burst=3, refilled_at=0.0)
    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert bucket.take(0.5)
    assert not bucket.take(0.5)
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]


def test_an_address_and_the_whole_node_are_bounded() -> None:
    bounded = limits(total=3, per_address=2)
    bounded.enter("a", 0.0)
    bounded.enter("a", 0.0)
    with pytest.raises(TooManyConnections):
        bounded.enter("a", 0.0)
    bounded.enter("b", 0.0)
    with pytest.raises(TooManyConnections):
        bounded.enter("c", 0.0)


def test_leaving_makes_room_and_forgets_the_address() -> None:
    bounded = limits(total=1)
    bounded.enter("a", 0.0)
    bounded.leave("a")
    assert dict(bounded.open) == {}
    bounded.enter("b", 0.0)


def test_arrivals_are_bounded_in_time() -> None:
    bounded = limits(burst=1)
    bounded.enter("a", 0.0)
    with pytest.raises(TooManyConnections):
        bounded.enter("a", 0.1)
    bounded.enter("a", 1.2)
