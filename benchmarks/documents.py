"""Keeps the documents that show the figures equal to the results that are in the tree.

`wundr bench --table` prints what stands between the marks; `python -m benchmarks.documents` puts it
there.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from benchmarks.catalogue import NAMES, load
from benchmarks.goals_table import markdown
from benchmarks.launch import ROOT

RESULTS: Final = Path(__file__).parent / "results"
DOCUMENTS: Final = (ROOT / "README.md", ROOT / "docs" / "explanation" / "performance.md")
BEGIN: Final = "<!-- bench table -->\n"
END: Final = "<!-- /bench table -->\n"


def table(folder: Path = RESULTS) -> str:
    """The tables of the results in a folder."""
    results: dict[str, dict[str, Any]] = {
        name: json.loads(file.read_text())
        for name in NAMES
        if (file := folder / f"{name}.json").is_file()
    }
    return markdown(map(load, NAMES), results)


def between_marks(text: str) -> str:
    """What a document shows. Raises ValueError unless it has both marks, once each."""
    return _parts(text)[1]


def with_table(text: str, shown: str) -> str:
    """The document with this table. Raises ValueError unless it has both marks, once each."""
    before, _, after = _parts(text)
    return before + shown + after


def _parts(text: str) -> tuple[str, str, str]:
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"a document needs {BEGIN.strip()} and {END.strip()} once each")
    before, rest = text.split(BEGIN)
    shown, after = rest.split(END)
    return before + BEGIN, shown, END + after


def main() -> None:
    """Write the table into every document."""
    shown = table()
    for document in DOCUMENTS:
        document.write_text(with_table(document.read_text(), shown))


if __name__ == "__main__":
    main()
