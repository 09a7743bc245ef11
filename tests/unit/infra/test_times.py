"""Times, versions and offsets as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
import typer

from connectors.past_state import AsOf
from infra.times import as_of, offsets, point_in_time


def test_a_time_without_a_zone_is_utc() -> None:
    moment = datetime(2026, 11, 25, 13, tzinfo=UTC)
    assert point_in_time("2026-11-25T13:00", "--since") == moment
    assert point_in_time("2026-11-25T13:00Z", "--since") == moment
    east = moment.replace(tzinfo=timezone(timedelta(hours=2)))
    assert point_in_time("2026-11-25T13:00+02:00", "--since") == east


def test_a_whole_number_is_a_version() -> None:
    assert as_of(None) is None
    assert as_of("7") == AsOf(version=7)
    assert as_of("2026-11-25") == AsOf(time=datetime(2026, 11, 25, tzinfo=UTC))


def test_offsets_are_ranges_by_partition() -> None:
    assert offsets(["2:1000-2000", "0:5", "1:7-"]) == {2: (1000, 2000), 0: (5, None), 1: (7, None)}


@pytest.mark.parametrize("text", ["soon", "", "25.11.2026", "7.5"])
def test_what_is_no_time_is_wrong_usage(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is no time"):
        as_of(text)


@pytest.mark.parametrize("text", ["1000", "a:1-2", "1:", "1:2-x", "1:-5"])
def test_what_is_no_range_is_wrong_usage(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is no range"):
        offsets([text])
