"""Room names and the right to join them. A room is `system`, `project.<id>` or `user.<id>`."""

import re
from collections.abc import Iterable
from typing import Final

from gateway.errors import RoomForbidden, RoomUnknown

SYSTEM: Final = "system"
ANY_ID: Final = "*"
MAX_ROOM_CHARACTERS: Final = 200
_SCOPED_ROOM = re.compile(r"(project|user)\.[^\s*\x00-\x1f\x7f]+")


def is_room(name: str) -> bool:
    """Whether a name has the form of a room."""
    if len(name) > MAX_ROOM_CHARACTERS:
        return False
    return name == SYSTEM or _SCOPED_ROOM.fullmatch(name) is not None


def is_right(name: str) -> bool:
    """Whether a name has the form of a right: a room, `project.*` or `user.*`."""
    return name in {f"project.{ANY_ID}", f"user.{ANY_ID}"} or is_room(name)


def _opening(rights: Iterable[str]) -> frozenset[str]:
    return frozenset(filter(is_right, rights))


def check_right(room: str, rights: Iterable[str]) -> None:
    """Raise RoomUnknown or RoomForbidden unless the rights cover the room."""
    if not is_room(room):
        raise RoomUnknown(f"there is no room {room[:MAX_ROOM_CHARACTERS]!r}")
    scope, dot, _ = room.partition(".")
    if not {room, f"{scope}{dot}{ANY_ID}"} & _opening(rights):
        raise RoomForbidden(f"the token gives no right to the room {room!r}")
