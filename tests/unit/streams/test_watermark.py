"""The low watermark against a plain model."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from streams.watermark import Watermark


class WatermarkAgainstModel(RuleBasedStateMachine):
    """Offsets with holes, repeats, and work that finishes in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.watermark = Watermark()
        self.begun: list[int] = []
        self.finished: set[int] = set()

    @rule(gap=st.integers(min_value=1, max_value=5))
    def begin_the_next(self, gap: int) -> None:
        offset = (self.begun[-1] if self.begun else -1) + gap
        assert self.watermark.begin(offset)
        self.begun.append(offset)

    @precondition(lambda self: self.begun)
    @rule(data=st.data())
    def begin_a_repeat(self, data: st.DataObject) -> None:
        offset = data.draw(st.integers(min_value=0, max_value=self.begun[-1]))
        assert not self.watermark.begin(offset)

    @precondition(lambda self: len(self.finished) < len(self.begun))
    @rule(data=st.data())
    def finish_any(self, data: st.DataObject) -> None:
        unfinished = [offset for offset in self.begun if offset not in self.finished]
        offset = data.draw(st.sampled_from(unfinished))
        self.watermark.finish(offset)
        self.finished.add(offset)

    @invariant()
    def commits_never_pass_unfinished_work(self) -> None:
        unfinished = [offset for offset in self.begun if offset not in self.finished]
        committable = self.watermark.committable
        assert self.watermark.unfinished == len(unfinished)
        if not self.begun:
            assert committable is None
        elif unfinished:
            assert committable == min(unfinished)
        else:
            assert committable == self.begun[-1] + 1


WatermarkAgainstModel.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None
)
TestWatermark = WatermarkAgainstModel.TestCase


def test_a_finished_offset_above_an_unfinished_one_is_not_committed() -> None:
    watermark = Watermark()
    for offset in (3, 4, 9):
        watermark.begin(offset)
    watermark.finish(4)
    watermark.finish(9)
    assert watermark.committable == 3
    watermark.finish(3)
    assert watermark.committable == 10
