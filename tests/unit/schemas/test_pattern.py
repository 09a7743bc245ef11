import pytest

from schemas.errors import InvalidPattern
from schemas.pattern import matches, validate_pattern


@pytest.mark.parametrize(
    ("pattern", "event_type", "expected"),
    [
        ("*", "analysis.started", True),
        ("analysis.*", "analysis.started", True),
        ("analysis.*", "analysis.file.processed", True),
        ("analysis.*", "analysis", False),
        ("analysis.*", "analysisx.started", False),
        ("analysis.file.*", "analysis.started", False),
        ("analysis.started", "analysis.started", True),
        ("analysis.started", "analysis.started.twice", False),
    ],
)
def test_a_pattern_covers_a_type_or_all_under_its_prefix(
    pattern: str, event_type: str, expected: bool
) -> None:
    assert matches(pattern, event_type) is expected


@pytest.mark.parametrize("pattern", ["*", "analysis.*", "setup.step.*", "analysis.started"])
def test_a_valid_pattern_is_given_back(pattern: str) -> None:
    assert validate_pattern(pattern) == pattern


@pytest.mark.parametrize(
    "pattern", ["", "analysis", "Analysis.started", "analysis.**", "*.started", "analysis.", ".*"]
)
def test_an_invalid_pattern_is_refused_by_its_text(pattern: str) -> None:
    with pytest.raises(InvalidPattern, match="is no pattern") as refused:
        validate_pattern(pattern)
    assert repr(pattern) in refused.value.message
