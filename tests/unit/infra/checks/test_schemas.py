"""Drift is named with the release that has to change."""

from __future__ import annotations

from dataclasses import replace

from infra.checks.schemas import announced_findings, file_findings
from schemas.catalog import Catalog
from schemas.errors import Fault

CATALOG = Catalog.load()
OURS = CATALOG.writer_schema("analysis.started", "1.0.0")


def test_a_fault_in_the_files_is_named_with_the_command_that_names_all() -> None:
    fault = Fault(file="a.avsc", path="", problem="is wrong", remedy="restore it")
    (finding,) = file_findings([fault, fault])
    assert "2 faults" in finding.message
    assert finding.remedy == "wundr schemas check"
    assert list(file_findings([])) == []


def test_one_version_with_two_schemas_is_wrong() -> None:
    (finding,) = announced_findings(CATALOG, [OURS, replace(OURS, id=OURS.id + 1)])
    assert finding.remedy is not None
    assert f"analysis.started 1.0.0 was announced as schema {OURS.id + 1}" in finding.message


def test_schemas_of_newer_releases_are_said_and_not_wrong() -> None:
    newer = replace(OURS, id=OURS.id + 1, version="1.9.0")
    (finding,) = announced_findings(CATALOG, [newer])
    assert finding.remedy is None
    assert "analysis.started 1.9.0" in finding.message


def test_what_everybody_has_agrees() -> None:
    (finding,) = announced_findings(CATALOG, CATALOG.schema_ids().values())
    assert finding.message == "files, lock and wundr.schemas agree"
