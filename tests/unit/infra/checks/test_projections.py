"""A projection that stopped is named with its event."""

from __future__ import annotations

from connectors.projection_store import KnownProjection, Version
from infra.checks.projections import projection_findings

KNOWN = KnownProjection(app="team", name="totals", module="team.app", live=1, previous=None)
FAILURE = {
    "event_id": "e-7",
    "event_type": "analysis.started",
    "partition": 2,
    "offset": 40,
    "error": "KeyError: 'x'",
}


def test_the_event_at_which_a_fold_raised_is_named() -> None:
    stopped = Version(version_id=1, version=3, revision=1, failure=FAILURE)
    (finding,) = projection_findings([(KNOWN, stopped)])
    assert "team/totals version 3 stopped at analysis.started e-7 (2/40)" in finding.message
    assert finding.remedy is not None
    assert "wundr project team.app" in finding.remedy


def test_projections_that_go_on_are_right() -> None:
    (finding,) = projection_findings([(KNOWN, Version(version_id=1, version=3, revision=1))])
    assert finding.remedy is None
