"""`wundr demo --chaos`: poisoned events are parked, redriven, and no number differs in the end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.text import Text

from tests.acceptance.demo_rig import assert_whole, demo
from tests.integration.infra.wundr_command import wundr

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.slow]


def test_poisoned_events_are_parked_named_redriven_and_everything_arrives_once(
    demo_folder: Path, source: Path
) -> None:
    with demo(demo_folder, source, "--once", "--chaos") as running:
        summary = running.summary()
        assert running.process.wait() == 0, running.terminal.text()
    assert_whole(summary)
    assert summary["poisoned"] == summary["parked"] == summary["redriven"] > 0, summary
    # The terminal is narrow: words are broken where its lines end.
    lines = running.terminal.text().replace("\r", "\n")
    shown = "".join(Text.from_ansi(lines).plain.split())
    assert f"{summary['parked']}poisonedeventswaitforanorder" in shown
    assert "PoisonedEvent:analysis-progressfailsonanalysis.file.processedof" in shown
    assert "PoisonedEvent:notifyfailsonanalysis.completedof" in shown
    assert "behindit" in shown
    assert "whatfailedonthemworksagain" in shown

    listed = wundr(demo_folder, "dlq", "list", "--json")
    assert (listed.returncode, listed.stdout) == (0, ""), "nothing is left"
    audited = wundr(demo_folder, "store", "audit", "--json")
    assert audited.returncode == 0, audited.stdout + audited.stderr
    assert json.loads(audited.stdout)["holes"] == 0
