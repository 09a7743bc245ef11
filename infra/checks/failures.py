"""Failed events by app: how many are parked or wait for another try, and since when. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from infra.finding import Finding
from infra.times import lasting
from streams.failures import FailedEvent

DEAD_LETTERS: Final = "dead letters"
RETRIES: Final = "retries"
OVERDUE_MS: Final = 15 * 60 * 1_000
"""A retry that was due so long ago: nobody works on it."""


def failure_findings(failed: Iterable[FailedEvent], now_ms: int) -> Iterator[Finding]:
    """What stands in `dlq.<app>` and `retry.<app>`."""
    parked: defaultdict[str, list[FailedEvent]] = defaultdict(list)
    waiting: defaultdict[str, list[FailedEvent]] = defaultdict(list)
    for it in failed:
        (parked if it.is_parked else waiting)[it.app].append(it)
    yield from _parked(parked, now_ms)
    yield from _waiting(waiting, now_ms)


def unread_findings(lengths: Mapping[str, int]) -> Iterator[Finding]:
    """Topics with more failed events than a quick look reads."""
    for topic, length in sorted(lengths.items()):
        yield Finding(
            check=DEAD_LETTERS,
            message=f"{topic} has {length:,} records, too many for a quick look",
            remedy="wundr dlq list",
        )


def _parked(by_app: Mapping[str, list[FailedEvent]], now_ms: int) -> Iterator[Finding]:
    if not by_app:
        yield Finding(check=DEAD_LETTERS, message="none")
    for app, failed in sorted(by_app.items()):
        oldest = min(failed, key=lambda it: it.at_ms)
        yield Finding(
            check=DEAD_LETTERS,
            message=f"{len(failed):,} of {app}, the oldest {lasting(now_ms - oldest.at_ms)} old: "
            f"{oldest.event_type or 'a record'} in {oldest.group}/{oldest.handler} "
            f"({oldest.error or oldest.reason})",
            remedy=f"wundr dlq list {app}; then redrive or drop them",
        )


def _waiting(by_app: Mapping[str, list[FailedEvent]], now_ms: int) -> Iterator[Finding]:
    if not by_app:
        yield Finding(check=RETRIES, message="none")
    for app, failed in sorted(by_app.items()):
        due = [it.due_at_ms for it in failed if it.due_at_ms is not None]
        behind = len(failed) - len(due)
        message = f"{len(due):,} of {app} wait for another try"
        if behind:
            message += f", {behind:,} behind others"
        late_ms = now_ms - min(due, default=now_ms)
        is_overdue = late_ms > OVERDUE_MS
        yield Finding(
            check=RETRIES,
            message=f"{message}; the first was due {lasting(late_ms)} ago"
            if is_overdue
            else message,
            remedy=f"see that a worker of {app} runs: wundr status" if is_overdue else None,
        )
