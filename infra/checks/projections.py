"""Postgres projections that stopped, with the event at which the fold raised. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from connectors.projection_store import KnownProjection, Version
from infra.finding import Finding

CHECK: Final = "projections"


def projection_findings(
    found: Iterable[tuple[KnownProjection, Version]],
) -> Iterator[Finding]:
    """Versions of projections, of which some cannot go on."""
    count = 0
    stopped = 0
    for known, version in found:
        count += 1
        failure = version.failure
        if failure is None:
            continue
        stopped += 1
        yield Finding(
            check=CHECK,
            message=f"{known.app}/{known.name} version {version.version} stopped at "
            f"{failure['event_type']} {failure['event_id']} "
            f"({failure['partition']}/{failure['offset']}): {failure['error']}",
            remedy=f"correct the fold, raise its revision, then wundr project {known.module}",
        )
    if not stopped:
        yield Finding(check=CHECK, message=f"{count} versions in PostgreSQL, none of them stopped")
