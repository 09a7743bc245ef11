"""What can go wrong while something is measured.

WundrError
└── BenchError
    ├── UnknownSystem        a name that no system of the bench has
    ├── SystemFailed         a system under test ended without a measurement
    ├── ChecksumMismatch     systems have not read the same: no figure can be compared
    ├── BrokerNotReady       the bench's broker did not answer for its partitions in time
    ├── NothingMeasured      a run was too short to tell what it was to tell
    └── PeersNotInstalled    the environment of the peers could not be made
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from schemas.errors import WundrError


class BenchError(WundrError):
    """A bench could not be carried out."""

    code: ClassVar[str] = "bench"


class UnknownSystem(BenchError):
    """A system was asked for that the bench does not have."""

    code = "unknown_system"
    remedy = "Name one of the systems above, in quotes where it has blanks."

    def __init__(self, bench: str, unknown: Sequence[str], known: Sequence[str]) -> None:
        super().__init__(
            f"Bench {bench} has no system {', '.join(unknown)}. It has: {', '.join(known)}."
        )


class SystemFailed(BenchError):
    """A system under test printed no measurement."""

    code = "system_failed"
    remedy = "Read the log named above; `wundr bench NAME --only SYSTEM` runs one system alone."

    def __init__(self, system: str, reason: str, log: Path) -> None:
        super().__init__(f"{system} was not measured: {reason}. Log: {log}\n{tail(log)}".rstrip())
        self.log = log


class ChecksumMismatch(BenchError):
    """A system did not handle the events that it was given."""

    code = "checksum_mismatch"
    remedy = "The system lost, repeated or misread events: its figure would mean nothing."


class NothingMeasured(BenchError):
    """A run went well, but was too short for a figure."""

    code = "nothing_measured"
    remedy = "Run it with more `--seconds`."


class BrokerNotReady(BenchError):
    """The broker runs, but its partitions or groups have nobody who answers for them yet."""

    code = "broker_not_ready"
    retryable = True
    remedy = "Try again; if it stays so, remove the folder .wundr/bench: all in it is made anew."

    def __init__(self, what: str, waited_s: float, answer: str) -> None:
        super().__init__(f"{what}: no answer after {waited_s:.0f} s. The broker said: {answer}")


class PeersNotInstalled(BenchError):
    """The environment of the peers could not be made."""

    code = "peers_not_installed"
    retryable = True
    remedy = "Check the connection to the package index (pip's settings are honoured), try again."


def tail(log: Path, characters: int = 2_000) -> str:
    """The end of a log; nothing when there is none."""
    if not log.is_file():
        return ""
    return log.read_text(errors="replace")[-characters:]
