"""A place that cannot be written is wrong usage, told before anything is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.cli import run
from infra.commands import worker
from infra.written_files import refuse_unwritable
from streams.settings import KafkaSettings

EVENT = "0198c5ae-7f3a-7cc2-9c4e-1d2a3b4c5d6e"


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without a stack: whatever asks for its servers ends with another error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "a-file").write_text("kept")
    (tmp_path / "a-folder").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("nowhere/x.svg", "there is no folder nowhere"),
        ("a-folder", "a-folder is a folder"),
        ("a-file/x.svg", "there is no folder a-file"),
        ("n" * 300, "cannot write"),
    ],
)
@pytest.mark.usefixtures("places")
def test_a_picture_that_cannot_be_written_is_refused_before_topics_are_read(
    place: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["events", "trace", EVENT, "--svg", place]) == 2
    shown = capsys.readouterr().err
    assert "--svg" in shown
    assert said in shown


@pytest.mark.parametrize("option", ["--plot", "--results"])
@pytest.mark.usefixtures("places")
def test_a_bench_whose_results_have_no_place_does_not_begin(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["bench", "codec", option, "a-file/results"]) == 2
    shown = capsys.readouterr().err
    assert option in shown
    assert "a-file" in shown


@pytest.mark.parametrize("option", ["--journal", "--run-file"])
def test_a_worker_whose_files_have_no_place_does_not_begin(
    option: str, places: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_places", lambda: (KafkaSettings(bootstrap="?"), places, None))
    assert run(["worker", "examples.analysis.app", option, "a-file/kept"]) == 2
    shown = capsys.readouterr().err
    assert option in shown
    assert "a-file" in shown


def test_a_place_that_can_be_written_is_left_as_it_is(places: Path) -> None:
    refuse_unwritable(places / "new.svg", "--svg")
    refuse_unwritable(places / "a-file", "--svg")
    assert sorted(it.name for it in places.iterdir()) == ["a-file", "a-folder"]
    assert (places / "a-file").read_text() == "kept"
