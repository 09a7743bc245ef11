from __future__ import annotations

import dataclasses
import json
import os
from zlib import crc32

import pytest

from benchmarks.contract import Measurement, Meter, RunConfig, event_sum, peak_memory

CONFIG = RunConfig(folder="/run", topic="t", events=10, warm_up=2, options={"mode": "consume"})


def test_a_program_reads_the_config_that_the_harness_wrote() -> None:
    assert RunConfig.from_arguments([CONFIG.to_json()]) == CONFIG


def test_options_stand_beside_the_other_keys_too() -> None:
    assert json.loads(CONFIG.to_json())["mode"] == "consume"


def test_the_checksum_is_the_same_in_whatever_order_events_come() -> None:
    events = [("a.b", "one", 3), ("a.b", "two", 5), ("c.d", "one", 0)]
    sums = set()
    for ordered in (events, events[::-1]):
        meter = Meter(events=3, warm_up=1)
        for event in ordered:
            meter.handled(*event)
        sums.add(meter.measurement().checksum)
    assert sums == {sum(event_sum(*event) for event in events)}


@pytest.mark.parametrize("other", [("a.c", "one", 3), ("a.b", "two", 3), ("a.b", "one", 4)])
def test_the_checksum_shows_each_thing_that_was_read(other: tuple[str, str, int]) -> None:
    assert event_sum(*other) != event_sum("a.b", "one", 3)


def test_what_an_event_adds_is_as_written_for_programs_in_other_languages() -> None:
    assert event_sum("a.b", "one", 3) == crc32(b"a.b") + crc32(b"one") + 3


def test_warm_up_is_counted_but_not_timed() -> None:
    meter = Meter(events=5, warm_up=2)
    for _ in range(5):
        meter.handled("a", "b", 1)
    measured = meter.measurement()
    assert measured.events == 3
    assert measured.seconds > 0
    assert measured.checksum == 5 * event_sum("a", "b", 1)


def test_the_last_event_says_that_the_run_is_over_once() -> None:
    ended: list[int] = []
    meter = Meter(events=3, warm_up=1, on_done=lambda: ended.append(meter.count))
    for _ in range(3):
        assert ended == []
        meter.handled("a", "b", 1)
    assert ended == [3]
    assert meter.is_done


def test_an_unfinished_run_has_no_measurement() -> None:
    meter = Meter(events=2, warm_up=1)
    meter.handled("a", "b", 1)
    with pytest.raises(RuntimeError, match="only 1 of 2"):
        meter.measurement()


@pytest.mark.parametrize("warm_up", [-1, 5, 6])
def test_warm_up_that_leaves_nothing_to_measure_is_refused(warm_up: int) -> None:
    with pytest.raises(ValueError, match="cannot be warm-up"):
        Meter(events=5, warm_up=warm_up)


def test_a_measurement_is_printed_as_one_json_line(capsys: pytest.CaptureFixture[str]) -> None:
    measured = Measurement(
        events=1, seconds=2.0, cpu_seconds=1.0, checksum=7, rss_bytes=5, metrics={"p99_ms": 1.5}
    )
    measured.print()
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == dataclasses.asdict(measured)


def test_memory_is_that_of_this_process() -> None:
    assert 1_000_000 < peak_memory() < 100_000_000_000


def test_memory_may_be_asked_of_a_process_by_its_id() -> None:
    assert peak_memory() <= peak_memory(os.getpid()) < 100_000_000_000
