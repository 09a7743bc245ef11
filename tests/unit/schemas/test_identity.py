from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.identity import derived_id, merged_id, uuid7

TIMES = st.integers(min_value=0, max_value=(1 << 48) - 1)


def test_the_example_of_rfc_9562_comes_out_as_printed_there() -> None:
    # RFC 9562, appendix A.6: 2022-02-22 19:22:22 UTC, rand_a 0xCC3, rand_b 0x18C4DC0C0C07398F.
    bits = (0xCC3 << 62 | 0x18C4DC0C0C07398F).to_bytes(10)
    assert uuid7(1645557742000, bits) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


@given(TIMES, st.binary(min_size=10, max_size=10))
def test_an_id_is_a_version_7_uuid_that_holds_its_time(timestamp_ms: int, bits: bytes) -> None:
    made = UUID(uuid7(timestamp_ms, bits))
    assert made.version == 7
    assert made.variant == "specified in RFC 4122"
    assert made.int >> 80 == timestamp_ms


@given(TIMES, TIMES)
def test_ids_sort_as_their_times_do(one: int, other: int) -> None:
    earlier, later = sorted((one, other))
    if earlier < later:
        assert uuid7(earlier, b"\xff" * 10) < uuid7(later, b"\x00" * 10)


@pytest.mark.parametrize("size", [0, 9, 11])
def test_another_number_of_random_bytes_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="10 random bytes"):
        uuid7(0, bytes(size))


@pytest.mark.parametrize("timestamp_ms", [-1, 1 << 48])
def test_a_time_that_does_not_fit_is_refused(timestamp_ms: int) -> None:
    with pytest.raises(ValueError, match="UUIDv7"):
        uuid7(timestamp_ms, bytes(10))


def test_a_derived_id_is_the_same_in_every_release() -> None:
    cause = "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"
    assert derived_id(cause, "analysis", "notify", 0, 1645557742000) == GOLDEN


def test_every_part_of_the_origin_changes_a_derived_id() -> None:
    origins = [
        ("cause", "app", "handler", 0),
        ("cause", "app", "handler", 1),
        ("cause", "app", "other", 0),
        ("cause", "apphandler", "", 0),
        ("causeapp", "", "handler", 0),
        ("other", "app", "handler", 0),
    ]
    assert len({derived_id(*origin, 0) for origin in origins}) == len(origins)


def test_a_merged_id_is_the_same_in_every_release_and_knows_the_order_of_its_parts() -> None:
    parts = ["017f22e2-79b0-7cc3-98c4-dc0c0c07398f", "b"]
    assert merged_id(parts, 1645557742000) == GOLDEN_MERGED
    assert merged_id(parts[::-1], 1645557742000) != GOLDEN_MERGED


GOLDEN_MERGED = "017f22e2-79b0-70d8-ae9b-52050fa70aa9"
GOLDEN = "017f22e2-79b0-7ae1-90d3-9d82e452a1b6"
