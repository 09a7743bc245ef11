"""The outcome of one check of `wundr doctor`."""

from __future__ import annotations

from dataclasses import dataclass

from schemas.errors import WundrError


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check says; `remedy` is None when nothing is wrong, else it names the next command."""

    check: str
    message: str
    remedy: str | None = None


def not_examined(check: str, error: WundrError) -> Finding:
    """A check that could not look, and why."""
    return Finding(check=check, message=error.message, remedy=error.remedy)
