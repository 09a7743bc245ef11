"""Waiting for a process ends, one way or the other."""

from __future__ import annotations

import pytest

from examples.analysis.demo.waiting import ProcessNotReady, until


async def test_it_returns_as_soon_as_the_condition_holds() -> None:
    answers = iter([False, False, True])

    async def holds() -> bool:
        return next(answers)

    await until(holds, within_s=60, every_s=0, what="it did not hold")
    assert list(answers) == []


async def test_at_the_deadline_it_says_what_was_waited_for_and_why() -> None:
    async def holds() -> bool:
        raise ProcessNotReady("worker-1 has not started yet")

    with pytest.raises(ProcessNotReady, match="no partitions within 0 seconds") as failed:
        await until(holds, within_s=0, every_s=0, what="no partitions")
    assert str(failed.value.__cause__) == "worker-1 has not started yet"


async def test_another_error_is_not_waited_out() -> None:
    async def holds() -> bool:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await until(holds, within_s=60, every_s=0, what="it did not hold")
