"""What the open-loop benches send: one type with an aggregate. Standard library only."""

from __future__ import annotations

EVENT_TYPE = "integration.repository.synced"
SAMPLES = 16


def repository_id(number: int) -> str:
    """The id of an aggregate; all are of one length."""
    return f"example/repository-{number:012d}"


def files_of(number: int) -> int:
    """The one field of the data of event `number` that handlers read."""
    return 150 + 170 * (number % SAMPLES)
