"""Each finding of the doctor says what to do when something is wrong."""

from __future__ import annotations

import os

import pytest

from infra.diagnosis import (
    MIN_FREE_BYTES,
    disk_finding,
    embedded_finding,
    native_finding,
    port_finding,
    processes_finding,
)
from infra.finding import Finding
from infra.stack.processes import RecordedProcess
from infra.stack.state import StackState

LOST = StackState(processes={"kafka": RecordedProcess(pid=os.getpid(), started=1.0, mark="/none")})


@pytest.mark.parametrize(
    "finding",
    [
        embedded_finding("the package jgo is not installed"),
        disk_finding(MIN_FREE_BYTES - 1),
        port_finding(9092, is_running=False, is_free=lambda _: False),
        processes_finding(LOST, running_brokers=0),
        processes_finding(StackState(), running_brokers=1),
    ],
    ids=lambda finding: f"{finding.check}: {finding.message}",
)
def test_what_is_wrong_has_a_remedy(finding: Finding) -> None:
    assert finding.remedy


@pytest.mark.parametrize(
    "finding",
    [
        embedded_finding(None),
        disk_finding(MIN_FREE_BYTES),
        port_finding(None, is_running=False, is_free=lambda _: False),
        port_finding(9092, is_running=True, is_free=lambda _: False),
        processes_finding(StackState(), running_brokers=0),
        native_finding({"events are read": True}, is_wanted=True),
        native_finding({"events are read": True}, is_wanted=False),
        native_finding({"events are read": False}, is_wanted=True),
    ],
    ids=lambda finding: f"{finding.check}: {finding.message}",
)
def test_what_is_right_has_none(finding: Finding) -> None:
    assert finding.remedy is None


@pytest.mark.parametrize(
    ("is_folded", "is_wanted", "expected"),
    [
        (True, True, "events are read, tables are folded in C"),
        (False, True, "tables are folded in Python, in C where a compiler"),
        (True, False, "events are read, tables are folded in Python, as WUNDR_PURE says"),
    ],
)
def test_it_is_said_what_is_done_in_c(expected: str, *, is_folded: bool, is_wanted: bool) -> None:
    built = {"events are read": True, "tables are folded": is_folded}
    assert native_finding(built, is_wanted=is_wanted).message.startswith(expected)
