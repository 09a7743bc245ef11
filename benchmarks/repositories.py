"""What the open-loop benches send: one type with an aggregate. Standard library only."""

from __future__ import annotations

EVENT_TYPE = "integration.repository.synced"
SAMPLES = 16

FROM_ASSIGNMENT_S = "from_assignment_s"
FROM_ASSIGNMENT_CPU_S = "from_assignment_cpu_s"
"""How long a table took from the moment when the worker knew its partitions."""


def repository_id(number: int) -> str:
    """The id of an aggregate; all are of one length."""
    return f"example/repository-{number:012d}"


def files_of(number: int) -> int:
    """The one field of the data of event `number` that handlers read."""
    return 150 + 170 * (number % SAMPLES)
