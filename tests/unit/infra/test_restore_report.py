"""What `wundr store restore` says at its end."""

import pytest

from connectors.store_restore import RestoreReport
from infra.commands.store import show_restored


def test_a_restore_says_how_to_mend_the_projections_that_lack_its_events(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_restored(RestoreReport(stored=3, known=17, to_rebuild={"team/b", "a/sums"}))
    assert capsys.readouterr().out.splitlines() == [
        "3 events restored, 17 were there already",
        "projection a/sums had passed some of them and lacks them: wundr projections rebuild sums",
        "projection team/b had passed some of them and lacks them: wundr projections rebuild b",
        "Prove it with: wundr store audit",
    ]


def test_a_restore_that_no_projection_had_passed_asks_for_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_restored(RestoreReport(stored=3))
    assert "projection" not in capsys.readouterr().out
