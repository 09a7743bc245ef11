"""What an audit of the event store found: counts by kind, and the first few of each by name. Pure.

Kafka, Postgres and the projections each claim to hold the same events. An anomaly is where two of
them contradict each other; what is merely on its way from one to the next is in flight.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple

NAMED: Final = 10
"""So many anomalies of each kind are named; all are counted."""


class Kind(StrEnum):
    """What can be wrong with an event, or with an aggregate."""

    HOLE = "holes"
    """An id that is missing on one side. A hole in the offsets is none: compaction makes them."""

    DUPLICATE = "duplicates"
    """Two events under one id or one version, or one event in two partitions."""

    DISORDER = "disorder"
    """Versions of an aggregate that do not ascend within their source partition."""

    VERSION_GAP = "version_gaps"
    """Versions of an appended aggregate that no event has."""

    COLUMN = "columns"
    """Rows whose columns say something else than their bytes. Looked for in a sample of blocks."""


class Anomaly(NamedTuple):
    """One of them. `subject` is an event's id, or the type and id of an aggregate."""

    kind: Kind
    subject: str
    detail: str


@dataclass(slots=True, kw_only=True)
class Findings:
    """Collects what a comparison finds."""

    events: int = 0
    """How many different events stand on either side."""
    in_flight: int = 0
    """How many of them were on their way between two places."""
    sampled: int = 0
    """How many rows had their columns held against their bytes."""
    counts: Counter[Kind] = field(default_factory=Counter)
    named: list[Anomaly] = field(default_factory=list)

    def add(self, anomalies: Iterable[Anomaly]) -> None:
        """Count these, and keep the first of each kind."""
        for anomaly in anomalies:
            self.counts[anomaly.kind] += 1
            if self.counts[anomaly.kind] <= NAMED:
                self.named.append(anomaly)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectionVerdict:
    """How a projection's checkpoint agrees with the log. `sources` are partitions it has read."""

    name: str
    sources: int
    ahead: int
    """Partitions of which it claims more than the log holds."""
    missing: int
    """Events that it has read and not folded, because the fold raised."""

    @property
    def agrees(self) -> bool:
        """Whether nothing is wrong with it."""
        return self.ahead == 0 and self.missing == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """The outcome of one audit; `seconds` is how long it took."""

    findings: Findings
    projections: tuple[ProjectionVerdict, ...]
    seconds: float

    @property
    def agrees(self) -> bool:
        """Whether Kafka, Postgres and the projections hold the same events."""
        return not self.findings.counts.total() and all(it.agrees for it in self.projections)

    def as_mapping(self) -> Mapping[str, Any]:
        """For `--json`; the keys are part of the command's promise."""
        return {
            "events": self.findings.events,
            **{kind.value: self.findings.counts[kind] for kind in Kind},
            "sampled": self.findings.sampled,
            "projections": {
                it.name: {"sources": it.sources, "ahead": it.ahead, "missing": it.missing}
                for it in self.projections
            },
            "seconds": round(self.seconds, 3),
        }
