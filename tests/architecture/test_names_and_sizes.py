"""Modules are named for what they hold, stay short, and speak of the project alone."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "schemas",
    "streams",
    "connectors",
    "gateway",
    "infra",
    "examples",
    "tests",
    "benchmarks",
)
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "misc", "base", "manager", "core"}
MODULE_LINES = 400
FUNCTION_LINES = 40
# Spelled in parts: this file must not hold what it refuses.
MACHINE_PATHS = tuple("/" + path for path in ("work/", "tmp/brief", "root/", "home/runner"))


def _modules() -> Iterator[Path]:
    for package in PACKAGES:
        yield from (ROOT / package).rglob("*.py")


def _public_texts() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    suffixes = {".py", ".md", ".toml", ".sql", ".avsc", ".js", ".html", ".yaml", ".in", ".lock", ""}
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file() and path.suffix in suffixes]


def test_no_module_has_a_name_that_says_nothing() -> None:
    refused = [
        str(path.relative_to(ROOT))
        for path in _modules()
        if EMPTY_NAMES & {path.stem, *path.relative_to(ROOT).parts[:-1]}
    ]
    assert refused == []


def test_no_module_is_longer_than_it_can_be_read() -> None:
    # What is generated from the schema files is as long as they are many.
    written = [path for path in _modules() if path.parent != ROOT / "schemas" / "events"]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in written}
    assert {name: lines for name, lines in lengths.items() if lines > MODULE_LINES} == {}


def test_no_function_is_longer_than_a_screen() -> None:
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in _modules()
        if path.parent != ROOT / "schemas" / "events"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if (node.end_lineno or node.lineno) - node.lineno >= FUNCTION_LINES
    ]
    assert long == []


def test_public_text_names_no_path_of_a_machine() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {place}"
        for path in _public_texts()
        for place in MACHINE_PATHS
        if place in path.read_text(errors="replace")
    ]
    assert found == []


def test_lock_files_name_no_package_index() -> None:
    for lock in ROOT.glob("requirements*.lock"):
        assert not re.search(r"https?://|--index-url|--find-links", lock.read_text()), lock.name


def test_every_locked_package_is_proven_by_hash() -> None:
    for lock in ROOT.glob("requirements*.lock"):
        lines = lock.read_text().replace("\\\n", " ").splitlines()
        pinned = [line for line in lines if "==" in line.partition("#")[0].partition(";")[0]]
        assert len(pinned) > 0
        assert [line for line in pinned if "--hash=sha256:" not in line] == []


@pytest.mark.parametrize(
    "decision", sorted((ROOT / "docs" / "adr").glob("*.md")), ids=lambda p: p.stem
)
def test_each_decision_names_what_confirms_it(decision: Path) -> None:
    _, heading, confirmation = decision.read_text().partition("\n## Confirmation\n")
    assert heading, "the decision has no section Confirmation"
    paths = re.findall(r"`([a-z_]+/[\w./-]+)`", confirmation)
    assert paths, "the section Confirmation names no test and no benchmark"
    assert [path for path in paths if not (ROOT / path).exists()] == []
