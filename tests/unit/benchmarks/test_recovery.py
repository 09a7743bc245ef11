from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from benchmarks.contract import Measurement
from benchmarks.errors import NothingMeasured
from benchmarks.repositories import FROM_ASSIGNMENT_CPU_S, FROM_ASSIGNMENT_S
from benchmarks.suite.recovery import Start, recovery_alone
from benchmarks.systems.recovery import left_to_recover


def _measured(seconds: float, metrics: Mapping[str, float] | None = None) -> Measurement:
    return Measurement(
        events=1_000,
        seconds=seconds,
        cpu_seconds=seconds / 2,
        checksum=0,
        rss_bytes=1,
        metrics=metrics or {},
    )


def _page(*progress: Mapping[str, Any]) -> dict[str, Any]:
    return {"subscriptions": {"main": {"ready": False, "recovery": list(progress)}}}


def _partition(done: int, total: int, table: str = "files") -> dict[str, Any]:
    return {"table": table, "partition": 0, "done": done, "total": total}


def test_an_empty_start_is_the_median_of_several() -> None:
    start = Start.of([_measured(9.0), _measured(2.0), _measured(3.0)])
    assert (start.seconds, start.cpu_seconds) == (3.0, 1.5)


def test_without_more_knowledge_an_empty_start_is_taken_off() -> None:
    alone = recovery_alone(_measured(5.0), Start(seconds=3.0, cpu_seconds=1.5))
    assert (alone.seconds, alone.cpu_seconds) == (2.0, 1.0)
    assert alone.metrics["start_to_ready_s"] == 5.0


def test_a_worker_that_says_when_it_knew_its_partitions_is_timed_from_there() -> None:
    told = {FROM_ASSIGNMENT_S: 1.25, FROM_ASSIGNMENT_CPU_S: 0.5}
    alone = recovery_alone(_measured(5.0, told), Start(seconds=3.0, cpu_seconds=1.5))
    assert (alone.seconds, alone.cpu_seconds) == (1.25, 0.5)


def test_a_start_no_longer_than_an_empty_one_gives_no_figure() -> None:
    with pytest.raises(NothingMeasured, match="no figure"):
        recovery_alone(_measured(3.0), Start(seconds=3.0, cpu_seconds=1.5))


def test_the_page_of_a_worker_says_how_much_is_left() -> None:
    assert left_to_recover(_page(_partition(0, 60), _partition(10, 40))) == 0.9
    assert left_to_recover(_page(_partition(60, 60), _partition(0, 9, table="other"))) == 0.0


def test_a_page_without_progress_says_nothing_of_the_begin() -> None:
    assert left_to_recover({"subscriptions": {"main": {"ready": True}}}) is None
    assert left_to_recover(_page()) is None
    assert left_to_recover(_page(_partition(0, 0))) is None
