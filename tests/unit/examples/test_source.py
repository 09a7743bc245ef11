"""Counting what a source file holds."""

from examples.analysis.source import SourceFacts, analyse


def test_functions_classes_imports_and_branches_are_counted() -> None:
    facts = analyse(
        b"import os\nfrom sys import path\n\nclass A:\n"
        b"    def f(self):\n        if path:\n            return [x for x in path]\n"
    )
    assert facts == SourceFacts(lines=7, functions=1, classes=1, imports=2, complexity=3)


def test_a_broken_file_is_reported_with_its_reason_and_its_lines() -> None:
    facts = analyse(b"def f(:\n    pass\n")
    assert facts.lines == 2
    assert facts.functions == 0
    assert facts.error is not None
    assert facts.error.startswith("SyntaxError")


def test_bytes_that_are_no_text_are_reported() -> None:
    assert analyse(b"\x00\xff").error is not None


def test_an_empty_file_has_no_lines() -> None:
    assert analyse(b"") == SourceFacts(lines=0, complexity=0)


def test_a_last_line_without_a_newline_counts() -> None:
    assert analyse(b"x = 1\ny = 2").lines == 2
