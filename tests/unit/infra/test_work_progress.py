import time

import pytest

from infra.work_progress import work_progress


def test_without_a_terminal_each_phase_is_a_line_and_long_ones_tell_rate_and_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter([0.0, 5.0, 10.0, 11.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    with work_progress("records") as report:
        report("reading", 0, 1_000)
        report("reading", 100, 1_000)
        report("reading", 250, 1_000)
        report("comparing", 1, 2)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "reading ...",
        "reading: 250 of 1,000, 25 records/s, 30 s left",
        "comparing ...",
    ]
