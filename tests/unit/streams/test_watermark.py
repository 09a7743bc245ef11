"""The low watermark against a plain model."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from streams.watermark import Watermark


class WatermarkAgainstModel(RuleBasedStateMachine):
    """Stretches of offsets with holes between and within, finished in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.watermark = Watermark()
        self.begun: list[tuple[int, int]] = []
        self.finished: set[int] = set()

    @rule(gap=st.integers(min_value=1, max_value=5), length=st.integers(0, 4))
    def begin_the_next(self, gap: int, length: int) -> None:
        first = (self.begun[-1][1] if self.begun else -1) + gap
        self.watermark.begin(first, first + length)
        self.begun.append((first, first + length))

    @precondition(lambda self: self.begun)
    @rule(data=st.data())
    def begin_a_repeat(self, data: st.DataObject) -> None:
        first = data.draw(st.integers(min_value=0, max_value=self.begun[-1][1]))
        with pytest.raises(AssertionError):
            self.watermark.begin(first, first + 9)

    @precondition(lambda self: len(self.finished) < len(self.begun))
    @rule(data=st.data())
    def finish_any(self, data: st.DataObject) -> None:
        first = data.draw(st.sampled_from(self.unfinished))
        self.watermark.finish(first)
        self.finished.add(first)

    @property
    def unfinished(self) -> list[int]:
        return [first for first, _ in self.begun if first not in self.finished]

    @invariant()
    def commits_never_pass_unfinished_work(self) -> None:
        committable = self.watermark.committable
        if not self.begun:
            assert committable is None
        elif self.unfinished:
            assert committable == min(self.unfinished)
        else:
            assert committable == self.begun[-1][1] + 1


WatermarkAgainstModel.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None
)
TestWatermark = WatermarkAgainstModel.TestCase


def test_a_finished_offset_above_an_unfinished_one_is_not_committed() -> None:
    watermark = Watermark()
    for offset in (3, 4, 9):
        watermark.begin(offset, offset)
    watermark.finish(4)
    watermark.finish(9)
    assert watermark.committable == 3
    watermark.finish(3)
    assert watermark.committable == 10
