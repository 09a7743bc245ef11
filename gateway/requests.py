"""What clients ask for, read from their messages. Raises BadRequest for any other shape."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.cursor import Cursor, cursor_from_wire
from gateway.errors import BadRequest

MAX_NAMES: Final = 256
MAX_NAME_CHARACTERS: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinRequest:
    """Rooms to join, from a cursor, from a time (milliseconds since 1970), or from now."""

    rooms: tuple[str, ...]
    cursor: Cursor | None = None
    since_ms: int | None = None

    @property
    def has_start(self) -> bool:
        """Whether the client said where to begin."""
        return self.cursor is not None or self.since_ms is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The `auth` of a connection. `keeps_cursor`: the client named a cursor, if only null."""

    token: object
    cursor: Cursor | None
    keeps_cursor: bool


def read_credentials(auth: object) -> Credentials:
    """Read a connection's `auth`; raises BadCursor."""
    given: Mapping[Any, Any] = auth if isinstance(auth, dict) else {}
    return Credentials(
        token=given.get("token"),
        cursor=_cursor(given),
        keeps_cursor="cursor" in given,
    )


def read_join(arguments: tuple[object, ...]) -> JoinRequest:
    """Read the arguments of `join`: a list of rooms, or `{rooms, ...}`; raises BadCursor."""
    match arguments:
        case ({"rooms": rooms, **rest},):
            return JoinRequest(
                rooms=_names(rooms), cursor=_cursor(rest), since_ms=_time(rest.get("since"))
            )
        case (rooms,):
            return JoinRequest(rooms=_names(rooms))
    raise BadRequest


def read_names(arguments: tuple[object, ...]) -> tuple[str, ...]:
    """Read the arguments of a message that names rooms or patterns."""
    match arguments:
        case (names,):
            return _names(names)
    raise BadRequest


def _names(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or len(value) > MAX_NAMES:
        raise BadRequest(f"expected a list of at most {MAX_NAMES} names")
    if not all(isinstance(name, str) and len(name) <= MAX_NAME_CHARACTERS for name in value):
        raise BadRequest(f"a name is a text of at most {MAX_NAME_CHARACTERS} characters")
    return tuple(dict.fromkeys(value))


def _cursor(given: Mapping[Any, Any]) -> Cursor | None:
    value = given.get("cursor")
    return cursor_from_wire(value) if value else None


def _time(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadRequest("`since` is a time in milliseconds since 1970")
    return int(value)
