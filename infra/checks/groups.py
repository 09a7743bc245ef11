"""Consumer groups: no member, a partition without an owner, lag that grows or stands still. Pure.

A group is looked at twice: lag alone is no fault, work comes in bursts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from infra.finding import Finding
from infra.groups import Group, GroupPartition
from schemas.topics import PLATFORM_APP
from streams.records import TopicPartition

CHECK: Final = "groups"
STABLE: Final = "stable"
NAMED: Final = 3
"""So many partitions are named; all are counted."""


def group_findings(
    before: Sequence[Group], after: Sequence[Group], paused: Collection[str] = ()
) -> Iterator[Finding]:
    """What two looks at the groups say, the second a moment after the first.

    `paused`: groups whose workers say themselves what they wait for; one cause is said once.
    """
    earlier = {group.name: group for group in before}
    wrong = False
    for group in after:
        for finding in _findings(earlier.get(group.name, group), group, paused):
            wrong = True
            yield finding
    if not wrong:
        behind = sum(group.lag for group in after)
        yield Finding(check=CHECK, message=f"{len(after)} groups, {behind:,} records to work on")


def _findings(before: Group, after: Group, paused: Collection[str]) -> Iterator[Finding]:
    if not after.members:
        if after.lag:
            yield Finding(
                check=CHECK,
                message=f"{after.name} has no member, and {after.lag:,} records to work on",
                remedy=_start(after.name),
            )
        return
    ownerless = [it for it in after.work if it.owner is None]
    if after.state == STABLE and ownerless:
        yield Finding(
            check=CHECK,
            message=f"{after.name}: nobody owns {_named([it.source for it in ownerless])}",
            remedy=f"restart a worker of the group ({_start(after.name)}); "
            "see that none of them runs with --lanes alone",
        )
    if after.name not in paused:
        yield from _pace(before, after)


def _pace(before: Group, after: Group) -> Iterator[Finding]:
    still = _standing_still(before, after)
    if still:
        yield Finding(
            check=CHECK,
            message=f"{after.name} stands still at {_named([it.source for it in still])}, "
            f"{sum(it.lag for it in still):,} records behind",
            remedy="look at /ready and the log of its worker: it names what is waited for",
        )
    elif after.lag > before.lag > 0:
        yield Finding(
            check=CHECK,
            message=f"{after.name} falls behind: {before.lag:,}, a moment later {after.lag:,} "
            "records to work on",
            remedy=f"start one more worker: {_start(after.name)}",
        )


def _standing_still(before: Group, after: Group) -> list[GroupPartition]:
    """Owned partitions with work that was there before, of which nothing was done."""
    earlier: Mapping[TopicPartition, GroupPartition] = {it.source: it for it in before.work}
    found = []
    for it in after.work:
        then = earlier.get(it.source)
        has_work = it.owner is not None and it.lag > 0
        if has_work and then is not None and then.lag > 0 and then.committed == it.committed:
            found.append(it)
    return found


def _start(group: str) -> str:
    app, _, subscription = group.partition(".")
    if app == PLATFORM_APP:
        return "wundr sink" if subscription == "sink" else "wundr worker platform"
    return f"wundr worker APP, with the import path of app {app}; a group of the past is deleted"


def _named(sources: Sequence[TopicPartition]) -> str:
    shown = ", ".join(str(source) for source in sources[:NAMED])
    more = len(sources) - NAMED
    return f"{shown} and {more} more" if more > 0 else shown
