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
"""A group that has finished nothing for so long is waited for no more.

Longer than a rebalance takes, and the session of a worker that was killed.
"""

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

    def is_passed(self, finished: Mapping[TopicPartition, int]) -> bool:
        return all(finished.get(source, 0) >= end for source, end in self.ends.items())


class GroupIntake:
    """Implements Intake by the progress of the saga's consumer group."""

    def __init__(self, progress: GroupProgress, clock: Callable[[], datetime]) -> None:
        self._progress = progress
        self._clock = clock
        self._marks: deque[_Mark] = deque()
        self._until = EPOCH
        self._looked_at = EPOCH
        self._finished: Mapping[TopicPartition, int] | None = None
        self._moved_at = EPOCH
        self._is_stuck = False

    async def until(self) -> datetime | None:
        """See Intake."""
        now = self._clock()
        pause = LOOK_BEHIND if self._is_behind(now) else LOOK
        if now - self._looked_at >= pause:
            self._looked_at = now
            await self._look(now)
        return self._until if self._is_behind(now) and not self._is_stuck else None

    async def close(self) -> None:
        """See Intake."""
        await self._progress.close()

    def _is_behind(self, now: datetime) -> bool:
        return now - self._until > FRESH

    async def _look(self, now: datetime) -> None:
        # The ends first: what is finished later is compared with what was there before.
        self._marks.append(_Mark(now, await self._progress.ends()))
        finished = await self._progress.finished()
        while self._marks and self._marks[0].is_passed(finished):
            self._until = self._marks.popleft().at
        if len(self._marks) > MOST_MARKS:
            self._marks = deque(list(self._marks)[::2])
        self._note_movement(now, finished)

    def _note_movement(self, now: datetime, finished: Mapping[TopicPartition, int]) -> None:
        if finished != self._finished or not self._is_behind(now):
            self._finished, self._moved_at, self._is_stuck = finished, now, False
        elif now - self._moved_at >= STUCK and not self._is_stuck:
            self._is_stuck = True
            log.warning("deadlines pass though the saga is behind", taken_in_until=self._until)
