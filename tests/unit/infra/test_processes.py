"""A pid is ours only with the recorded start time and our mark on its command line."""

from __future__ import annotations

import pytest

from infra.stack.processes import ObservedProcess, RecordedProcess, Verdict, judge

RECORDED = RecordedProcess(pid=4711, started=1000.0, mark="/state/kafka/server.properties")
OURS = ("java", "kafka.Kafka", "/state/kafka/server.properties")


@pytest.mark.parametrize(
    ("observed", "verdict"),
    [
        (None, Verdict.GONE),
        (ObservedProcess(started=1000.0, command_line=OURS), Verdict.OURS),
        (ObservedProcess(started=1000.9, command_line=OURS), Verdict.OURS),
        (ObservedProcess(started=1200.0, command_line=OURS), Verdict.STRANGER),
        (ObservedProcess(started=1000.0, command_line=("vim",)), Verdict.STRANGER),
        (ObservedProcess(started=1000.0, command_line=()), Verdict.STRANGER),
    ],
)
def test_a_recorded_process_is_judged(observed: ObservedProcess | None, verdict: Verdict) -> None:
    assert judge(RECORDED, observed) is verdict
