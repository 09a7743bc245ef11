"""Which browsers see an event, and what of it: pure, decided by its schema's `broadcast`.

The rules are those of the ADR: `system.*` events go to the room `system`, events with a `projectId`
to `project.<id>`, events with a `userId` (in data or metadata) to `user.<id>`.
"""

from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any, Final

from schemas.catalog import EventType
from schemas.errors import UnknownRoom
from schemas.event import Event
from schemas.protection import is_placeholder
from schemas.topics import BROADCAST_PROJECT, BROADCAST_SYSTEM, BROADCAST_USER

SYSTEM_ROOM: Final = "system"
_TOPICS: Final = {
    "system": BROADCAST_SYSTEM,
    "project": BROADCAST_PROJECT,
    "user": BROADCAST_USER,
}


def rooms(event: Event[Any], event_type: EventType) -> tuple[str, ...]:
    """The rooms that see the event; none when its type is never broadcast.

    A rule without value gives none.
    """
    if event_type.broadcast is None:
        return ()
    found = (_room(rule, event) for rule in event_type.broadcast.rules)
    return tuple(room for room in found if room is not None)


def _room(rule: str, event: Event[Any]) -> str | None:
    if rule == "system":
        return SYSTEM_ROOM if event.type.startswith("system.") else None
    if rule == "project":
        value = event.payload.get("projectId")
    else:
        named = event.payload.get("userId")
        value = event.metadata.user_id if is_placeholder(named) else named
        value = value or event.metadata.user_id
    return f"{rule}.{value}" if value else None


def broadcast_topic(room: str) -> str:
    """The topic of a room. Raises UnknownRoom."""
    scope, _, name = room.partition(".")
    if scope not in _TOPICS or bool(name) == (scope == SYSTEM_ROOM):
        raise UnknownRoom(f"{room!r} is no room")
    return _TOPICS[scope]


def browser_body(event: Event[Any], event_type: EventType) -> dict[str, Any]:
    """What a browser sees: id, type, allowed fields of the data, time.

    A personal field only where the schema says so with a word of its own. Fit for JSON.
    """
    broadcast = event_type.broadcast
    allowed = broadcast.fields if broadcast else ()
    hidden = set(event_type.personal) - set(broadcast.personal if broadcast else ())
    payload = event.payload
    return {
        "id": event.id,
        "type": event.type,
        "data": {
            name: _plain(payload[name])
            for name in allowed
            if name in payload and name not in hidden
        },
        "timestamp": iso_milliseconds(event.timestamp),
    }


def iso_milliseconds(moment: datetime) -> str:
    """`2026-11-23T14:05:00.123Z`, as browsers write it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _plain(value: Any) -> Any:
    """A value of the data as JSON has it."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Mapping():
            return {key: _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case datetime():
            return iso_milliseconds(value)
        case date():
            return value.isoformat()
        case bytes():
            return b64encode(value).decode()
        case _:
            return str(value)
