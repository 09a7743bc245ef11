"""What the terminal shows, on the narrow ones too."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

from examples.analysis.demo.display import Display
from examples.analysis.demo.plan import DemoFolders
from examples.analysis.demo.repair import ChaosCounts, ParkedEvent
from examples.analysis.demo.run import Counts
from examples.analysis.demo.summary import Summary
from infra.settings import ProviderName
from infra.stack.endpoints import Endpoints
from infra.stack.provider import Choice

WIDTH = 80
WHOLE = Summary(
    files=1790,
    published=2622,
    acknowledged=2622,
    stored=2622,
    projected=2622,
    delivered=2420,
    expected_delivered=2420,
    redelivered=3,
    lost=0,
    duplicates=0,
    dead_letters=0,
    seconds_to_first_event=6.7,
    seconds=28.4,
    console_url="http://127.0.0.1:8080",
)


@pytest.fixture
def shown() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def display(shown: io.StringIO) -> Display:
    return Display(Console(file=shown, width=WIDTH, force_terminal=True, no_color=True), began=0.0)


def test_no_step_is_wider_than_the_terminal(display: Display, shown: io.StringIO) -> None:
    display.stack_starts(Choice(provider=ProviderName.EMBEDDED, reason="no addresses " * 12))
    display.stack_runs(
        Endpoints(kafka_bootstrap="127.0.0.1:9092", postgres_dsn="", provider="embedded")
    )
    display.topics_ready(35)
    display.processes_start(DemoFolders(state_dir=Path("/srv/wundr/.wundr"), run_id="run-1"))
    display.processes_ready(WHOLE.console_url)
    display.result(WHOLE)
    display.goes_on(WHOLE.console_url)
    display.ends()
    lines = Text.from_ansi(shown.getvalue()).plain.splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert "127.0.0.1:9092" in shown.getvalue()


def test_a_database_password_is_not_shown(display: Display, shown: io.StringIO) -> None:
    secret = "postgresql://wundr:hunter2@localhost/wundr"
    display.stack_runs(Endpoints(kafka_bootstrap="k:1", postgres_dsn=secret, provider="external"))
    assert "hunter2" not in shown.getvalue()


def test_the_verdict_follows_from_the_counts(display: Display, shown: io.StringIO) -> None:
    display.result(WHOLE)
    assert "everything arrived, once" in shown.getvalue()
    assert "first event after 6.7 s, all after 28.4 s" in shown.getvalue()
    display.result(replace(WHOLE, lost=1, seconds_to_first_event=None))
    assert "not whole" in shown.getvalue()
    assert "no event within 28.4 s" in shown.getvalue()


def test_each_bar_is_full_when_its_place_has_all_that_belongs_there(display: Display) -> None:
    with display.bars(files=10) as bars:
        bars.follow(
            Counts(
                acknowledged=14,
                stored=14,
                projected=14,
                delivered=12,
                expected_delivered=12,
                files=10,
            )
        )
        assert all(task.finished for task in bars.progress.tasks)
        bars.follow(Counts(acknowledged=15, stored=14, projected=14, delivered=12, files=10))
        assert not all(task.finished for task in bars.progress.tasks)


def test_nothing_moves_where_there_is_no_terminal(shown: io.StringIO) -> None:
    display = Display(Console(file=shown, width=WIDTH), began=0.0)
    with display.bars(files=10) as bars:
        bars.follow(Counts(acknowledged=5, files=5))
    assert shown.getvalue() == ""


def test_chaos_is_shown_event_by_event_and_counted(display: Display, shown: io.StringIO) -> None:
    failed = "PoisonedEvent: notify fails on a1"
    display.parked([ParkedEvent(error=failed, behind=3), ParkedEvent(error=failed, behind=0)])
    display.mended()
    display.redriven(2)
    counts = ChaosCounts(poisoned=2, parked=2, redriven=2)
    display.result(replace(WHOLE, chaos=counts))
    # Words are broken where the lines of a narrow terminal end.
    text = "".join(Text.from_ansi(shown.getvalue()).plain.split())
    assert "2poisonedeventswaitforanorder" in text
    assert f"{failed}, 3 behind it".replace(" ", "") in text
    assert "everythingarrived,once" in text
    assert "2ofthese,oncewhatfailedwasmended" in text
    display.result(replace(WHOLE, chaos=replace(counts, redriven=1)))
    assert "not whole" in shown.getvalue()


def test_the_line_for_machines_speaks_of_chaos_only_where_there_was_some() -> None:
    assert not {"chaos", "poisoned", "parked", "redriven"} & WHOLE.as_json().keys()
    chaotic = replace(WHOLE, chaos=ChaosCounts(poisoned=3, parked=2, redriven=1)).as_json()
    assert [chaotic[name] for name in ("poisoned", "parked", "redriven")] == [3, 2, 1]
