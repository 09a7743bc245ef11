"""Until when a saga has taken in all that was sent: so an answer that lies in the log wins.

After an outage deadlines are due at once, while what came before them is still to be read, by this
worker or by another one. What the group has finished, in all partitions, says when they may pass.
"""

from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol

import structlog

from schemas.event import EPOCH
from streams.records import TopicPartition

FRESH: Final = timedelta(seconds=5)
"""A saga that is no further behind is not waited for: offsets are committed once a second."""

LOOK: Final = timedelta(seconds=2)
"""How often it is looked while the saga is not behind."""

LOOK_BEHIND: Final = timedelta(seconds=0.5)
"""How often while it is."""

STUCK: Final = timedelta(seconds=60)
"""A partition of which nothing was finished for so long is waited for no more, until it moves.

Longer than a rebalance takes, and the session of a worker that was killed.
"""

UNSEEN: Final = timedelta(seconds=10)
"""After so long without a look nothing is known of what stood still: the time begins anew."""

MOST_MARKS: Final = 128
"""So many looks are remembered at most; of more, every second one."""

log = structlog.get_logger(__name__)


class Intake(Protocol):
    """What a saga has taken in."""

    async def until(self) -> datetime | None:
        """All that was sent before was taken in; None where nothing older is to be waited for.

        Raises InfrastructureError.
        """
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class WholeIntake:
    """Implements Intake where deadlines are fired behind everything else anyway."""

    async def until(self) -> datetime | None:
        """See Intake."""
        return None

    async def close(self) -> None:
        """See Intake."""


class GroupProgress(Protocol):
    """How far a consumer group is in its topics, whoever works for it. Raises BrokerUnavailable."""

    async def ends(self) -> Mapping[TopicPartition, int]:
        """The offset that the next record will get, of every partition."""
        ...

    async def finished(self) -> Mapping[TopicPartition, int]:
        """Below which offset everything is done, or is kept no more."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class _Mark(NamedTuple):
    """Where the topics ended at a time."""

    at: datetime
    ends: Mapping[TopicPartition, int]


class _Movement:
    """When something of each partition was finished last, as far as somebody has looked."""

    def __init__(self) -> None:
        self._finished: Mapping[TopicPartition, int] = {}
        self._moved_at: dict[TopicPartition, datetime] = {}
        self._seen_at = EPOCH
        self.stuck: set[TopicPartition] = set()

    def note(self, mark: _Mark, finished: Mapping[TopicPartition, int]) -> None:
        """A look at the topics, and at what is finished of them."""
        now, was_unseen = mark.at, mark.at - self._seen_at > UNSEEN
        for source, end in mark.ends.items():
            offset = finished.get(source, 0)
            if offset >= end or offset != self._finished.get(source):
                self.stuck.discard(source)
                self._moved_at[source] = now
            elif source in self.stuck:
                continue
            elif was_unseen:
                self._moved_at[source] = now
            elif now - self._moved_at[source] >= STUCK:
                self.stuck.add(source)
                log.warning("deadlines wait for a partition no more", source=str(source))
        self._finished, self._seen_at = finished, now


class GroupIntake:
    """Implements Intake by the progress of the saga's consumer group."""

    def __init__(self, progress: GroupProgress, clock: Callable[[], datetime]) -> None:
        self._progress = progress
        self._clock = clock
        self._marks: deque[_Mark] = deque()
        self._movement = _Movement()
        self._until = EPOCH
        self._looked_at = EPOCH

    async def until(self) -> datetime | None:
        """See Intake."""
        now = self._clock()
        pause = LOOK_BEHIND if self._is_behind(now) else LOOK
        if now - self._looked_at >= pause:
            self._looked_at = now
            await self._look(now)
        return self._until if self._is_behind(now) else None

    async def close(self) -> None:
        """See Intake."""
        await self._progress.close()

    def _is_behind(self, now: datetime) -> bool:
        return now - self._until > FRESH

    async def _look(self, now: datetime) -> None:
        # The ends first: what is finished later is compared with what was there before.
        mark = _Mark(now, await self._progress.ends())
        finished = await self._progress.finished()
        self._movement.note(mark, finished)
        self._marks.append(mark)
        while self._marks and self._is_passed(self._marks[0], finished):
            self._until = self._marks.popleft().at
        if len(self._marks) > MOST_MARKS:
            self._marks = deque(list(self._marks)[::2])

    def _is_passed(self, mark: _Mark, finished: Mapping[TopicPartition, int]) -> bool:
        return all(
            finished.get(source, 0) >= end
            for source, end in mark.ends.items()
            if source not in self._movement.stuck
        )
