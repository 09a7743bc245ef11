"""The first lesson runs, and the README shows it as it is."""

import re
from pathlib import Path

import pytest

from examples.first_event import main

ROOT = Path(__file__).resolve().parents[3]


async def test_the_first_lesson_prints_its_receipt_its_version_and_its_table(
    capsys: pytest.CaptureFixture[str],
) -> None:
    await main()
    receipt, version, table = capsys.readouterr().out.splitlines()
    assert receipt.startswith("Acknowledgement(topic='events.integration.normal'")
    assert version == "2"
    assert table == "{'python': {'messages': ['json: 5 files analysed']}}"


def test_the_readme_shows_code_that_is_in_the_examples() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    lesson = (ROOT / "examples" / "first_event.py").read_text()
    assert blocks
    assert [block for block in blocks if block not in lesson] == []
