"""What is counted in one source file.

Pure: text in, numbers out; a broken file is a result, not an error.
"""

import ast
from collections import Counter
from dataclasses import dataclass

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
IMPORTS = (ast.Import, ast.ImportFrom)
BRANCHES = (
    ast.If,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.ExceptHandler,
    ast.IfExp,
    ast.BoolOp,
    ast.comprehension,
    ast.match_case,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFacts:
    """The counts of one file; `error` says why a file that could not be parsed has none."""

    lines: int
    functions: int = 0
    classes: int = 0
    imports: int = 0
    complexity: int | None = None
    error: str | None = None


def analyse(source: bytes) -> SourceFacts:
    """Count a file. Its complexity is its branches + 1 per function, after McCabe."""
    lines = source.count(b"\n") + (not source.endswith(b"\n") and bool(source))
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError) as error:
        return SourceFacts(lines=lines, error=f"{type(error).__name__}: {error}")
    found = Counter(map(type, ast.walk(tree)))
    functions = sum(found[kind] for kind in FUNCTIONS)
    return SourceFacts(
        lines=lines,
        functions=functions,
        classes=found[ast.ClassDef],
        imports=sum(found[kind] for kind in IMPORTS),
        complexity=sum(found[kind] for kind in BRANCHES) + functions,
    )
