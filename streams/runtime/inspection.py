"""Looking into running tasks: which handler works on which event, and where it stands.

Nothing is written down while work goes well. Who asks looks through the frames of a task that
waits, from the lane down to the call that it waits in.
"""

import asyncio
import sys
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType
from typing import Any, Final

from schemas.event import Event
from schemas.headers import CE_ID
from streams.attempts import WAITING
from streams.deadline import CONTINUED
from streams.handler import Reaction
from streams.handling import Delivered
from streams.projection import Projection
from streams.records import RawRecord
from streams.traced import WITHIN

DEEPEST: Final = 200
"""Frames that are looked at, at most."""

DRIVERS: Final = frozenset({CONTINUED, WITHIN})
"""Whose frames have the work that they drive in `work`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkInHand:
    """What a lane works on; None for what its frames do not say.

    `waits` when it is between two tries: for infrastructure, or until it is tried again.
    """

    handler: str | None
    event_id: str | None
    offset: int | None
    waits: bool = False


NOTHING: Final = WorkInHand(handler=None, event_id=None, offset=None)


def work_of(tasks: Iterable[asyncio.Task[Any]]) -> WorkInHand:
    """What the first of these tasks that is at work has in hand."""
    for task in tasks:
        found = work_in(frames_of(task.get_coro()))
        if found != NOTHING:
            return found
    return NOTHING


def work_in(frames: Iterable[FrameType]) -> WorkInHand:
    """What is in hand according to these frames, outermost first: the innermost says most."""
    found = NOTHING
    for frame in frames:
        if frame.f_code is WAITING:
            found = replace(found, waits=True)
        for value in list(frame.f_locals.values()):
            found = _with(found, value)
    return found


def _with(found: WorkInHand, value: object) -> WorkInHand:
    if isinstance(value, list) and value and isinstance(value[0], Delivered):
        value = value[0].record
    if isinstance(value, Reaction | Projection):
        return replace(found, handler=value.name)
    if isinstance(value, Event):
        return replace(found, event_id=value.id)
    if isinstance(value, RawRecord):
        return replace(found, offset=value.offset, event_id=_id_of(value) or found.event_id)
    return found


def frames_of(waiting: Any) -> Iterator[FrameType]:
    """The frames of a coroutine that waits, outermost first, and of what it waits in."""
    for _ in range(DEEPEST):
        if isinstance(waiting, CoroutineType):
            frame, inner = waiting.cr_frame, waiting.cr_await
        elif isinstance(waiting, GeneratorType):
            frame, inner = waiting.gi_frame, waiting.gi_yieldfrom
        elif isinstance(waiting, AsyncGeneratorType):
            frame, inner = waiting.ag_frame, waiting.ag_await
        else:
            return
        if frame is None:
            return
        yield frame
        waiting = inner or _driven(frame)


def stack_of(task: asyncio.Task[Any]) -> list[str]:
    """Where a task waits: a line for each frame, outermost first."""
    return [
        f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_qualname}"
        for frame in frames_of(task.get_coro())
    ]


def stack_of_thread(thread_id: int) -> list[FrameType]:
    """The frames of a thread that runs, outermost first."""
    frame = sys._current_frames().get(thread_id)  # noqa: SLF001  # documented, for this very use
    return [] if frame is None else [it for it, _ in traceback.walk_stack(frame)][::-1]


def _driven(frame: FrameType) -> Any:
    """Work under a time limit, or inside a span, is driven by hand, not awaited."""
    return frame.f_locals.get("work") if frame.f_code in DRIVERS else None


def _id_of(record: RawRecord) -> str | None:
    found = record.header(CE_ID)
    return None if found is None else found.decode(errors="replace")
