"""Windows close by the time of the events, stay closed, and no event is missed or counted twice."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.event import Event
from streams.projection import State
from streams.windows import Windows
from tests.unit.streams.tabling import event

LENGTH_MS = 1_000
TIMES = st.lists(st.integers(0, 20_000), max_size=60)
WINDOWS = st.builds(
    Windows,
    length=st.just(timedelta(milliseconds=LENGTH_MS)),
    grace=st.integers(0, 3_000).map(lambda ms: timedelta(milliseconds=ms)),
    keeps=st.integers(0, 25),
)


def at(timestamp_ms: int) -> Event[Any]:
    made = event(1)
    return Event(made.envelope._replace(timestamp_ms=timestamp_ms), made.data)


def count(state: State, _event: Event[Any]) -> State:
    return {"events": state.get("events", 0) + 1}


def counted(state: State) -> int:
    return sum(it["state"]["events"] + it["late"] for it in state["windows"].values())


@given(windows=WINDOWS, times=TIMES)
def test_what_is_closed_never_changes_but_for_its_late_events(
    windows: Windows, times: list[int]
) -> None:
    fold, state = windows.of(count), windows.initial()
    for time in times:
        before = state["windows"]
        state = fold(state, at(time))
        for start, window in before.items():
            if window["closed"] and start in state["windows"]:
                after = state["windows"][start]
                assert after["closed"]
                assert after["state"] == window["state"]


@given(windows=WINDOWS, times=TIMES)
def test_a_window_is_closed_exactly_when_an_event_is_its_grace_behind_its_end(
    windows: Windows, times: list[int]
) -> None:
    fold, state = windows.of(count), windows.initial()
    for time in times:
        state = fold(state, at(time))
        for second in range(21):
            window = state["windows"].get(windows.start_of(second * LENGTH_MS))
            if window is not None:
                end = (second + 1) * LENGTH_MS + windows.grace // timedelta(milliseconds=1)
                assert window["closed"] == (state["until"] >= end)


@given(windows=WINDOWS, times=TIMES)
def test_every_event_is_counted_once_in_time_or_as_late(windows: Windows, times: list[int]) -> None:
    everything = Windows(length=windows.length, grace=windows.grace, keeps=1_000)
    fold, state = everything.of(count), everything.initial()
    expected: Counter[str] = Counter()
    for time in times:
        state = fold(state, at(time))
        expected[everything.start_of(time)] += 1
    assert counted(state) + state["late"] == len(times)
    in_time = {start: it["state"]["events"] for start, it in state["windows"].items()}
    assert all(count <= expected[start] for start, count in in_time.items())


@given(windows=WINDOWS, times=TIMES, cut=st.integers(0, 60))
def test_an_entry_that_is_taken_over_goes_on_as_if_it_had_not_been(
    windows: Windows, times: list[int], cut: int
) -> None:
    fold = windows.of(count)
    whole = moved = windows.initial()
    for number, time in enumerate(times):
        whole = fold(whole, at(time))
        if number == cut:
            moved = json.loads(json.dumps(moved))
        moved = fold(moved, at(time))
    assert json.loads(json.dumps(moved)) == json.loads(json.dumps(whole))


@given(windows=WINDOWS, times=TIMES)
def test_an_entry_keeps_so_many_closed_windows_and_all_open_ones(
    windows: Windows, times: list[int]
) -> None:
    fold, state = windows.of(count), windows.initial()
    for time in times:
        state = fold(state, at(time))
    closed = [start for start, it in state["windows"].items() if it["closed"]]
    assert len(closed) <= windows.keeps


def test_late_events_are_counted_apart() -> None:
    hourly = Windows(length=timedelta(hours=1), grace=timedelta(minutes=5))
    fold, state = hourly.of(count), hourly.initial()
    hour = 3_600_000
    for time in (0, hour, hour + 4 * 60_000, 10, hour + 5 * 60_000, 20, 30):
        state = fold(state, at(time))
    first = state["windows"]["1970-01-01T00:00:00+00:00"]
    assert first == {"state": {"events": 2}, "closed": True, "late": 2}
    assert state["windows"]["1970-01-01T01:00:00+00:00"]["state"] == {"events": 3}


@pytest.mark.parametrize(
    "wrong",
    [
        {"length": timedelta()},
        {"length": timedelta(hours=1), "grace": timedelta(seconds=-1)},
        {"length": timedelta(hours=1), "keeps": -1},
    ],
)
def test_windows_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="window"):
        Windows(**wrong)
