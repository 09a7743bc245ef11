import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.postgres.event_store import type_range
from schemas.pattern import matches


@pytest.mark.parametrize(
    "pattern", ["*", "analysis.*", "analysis.file.*", "analysis.started", "setup.step.*"]
)
@given(
    name=st.from_regex(r"(analysis|analysisx|setup)(\.(file|step|started|x)){1,3}", fullmatch=True)
)
def test_a_range_of_types_holds_exactly_what_the_pattern_matches(pattern: str, name: str) -> None:
    first, last = type_range(pattern)
    within = (first is None or name >= first) and (last is None or name <= last)
    assert within is matches(pattern, name)
