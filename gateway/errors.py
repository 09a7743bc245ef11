"""Errors of the gateway. A code in capitals is shown to clients and documented in docs/adr/0005.

WundrError
└── GatewayError
    ├── InvalidGatewaySettings   every fault at once
    ├── HistoryUnavailable       the retained broadcasts could not be read in time: retryable
    ├── BroadcastReadStopped     the gateway no longer reads the broadcasts
    ├── AddressTaken             something else listens where the gateway should
    ├── NotABroadcast            a record of a broadcast topic that is no browser body
    ├── UnknownRight             a token cannot open such a room
    └── Refusal                  a client is refused
        ├── BadToken, TokenExpired, NoToken, BadCursor
        ├── OriginRefused, HostRefused, TooManyConnections, TooManyMessages
        ├── UnexpectedPacket, ConnectDeadline, ClientStalled, ShuttingDown
        └── RoomUnknown, RoomForbidden, TooManyRooms, BadPattern, BadRequest
"""

from collections.abc import Sequence
from typing import ClassVar

from schemas.errors import WundrError


class GatewayError(WundrError):
    """The gateway failed."""

    code = "gateway"


class InvalidGatewaySettings(GatewayError):
    """The gateway's settings are wrong."""

    code = "gateway.settings"
    remedy = "Correct the named settings; `wundr doctor` shows the values in use."

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(self.faults))


class HistoryUnavailable(GatewayError):
    """The retained broadcasts could not be read in time."""

    code = "gateway.history_unavailable"
    retryable: ClassVar[bool] = True
    remedy = "Check the broker with `wundr status`, then start the gateway again."


class BroadcastReadStopped(GatewayError):
    """The gateway no longer reads the broadcasts."""

    code = "gateway.read_stopped"
    retryable: ClassVar[bool] = True
    remedy = "Start the gateway again: clients resume from their cursors."


class AddressTaken(GatewayError):
    """Something else listens where the gateway should."""

    code = "gateway.address_taken"
    remedy = "Choose another WUNDR_GATEWAY_PORT (0 takes a free one), or stop what listens there."


class NotABroadcast(GatewayError):
    """A record of a broadcast topic has no room, or a value that is no browser body."""

    code = "gateway.not_a_broadcast"
    remedy = "Only the platform's route may write to the broadcast topics."


class UnknownRight(GatewayError):
    """A token can only open `system`, `project.<id>`, `project.*`, `user.<id>` and `user.*`."""

    code = "gateway.unknown_right"
    remedy = "Name rooms such as `project.*` or `user.alice`."


class Refusal(GatewayError):
    """The gateway refuses this."""

    code = "REFUSED"
    remedy = "See the gateway's codes in docs/adr/0005."
    http_status: ClassVar[int] = 403

    def to_wire(self) -> dict[str, str]:
        """What a client is shown."""
        return {"code": self.code, "message": self.message, "remedy": self.remedy}


class NoToken(Refusal):
    """No token was given."""

    code = "NO_TOKEN"
    remedy = "Connect with `auth: { token }`."


class BadToken(Refusal):
    """The token is not valid here."""

    code = "BAD_TOKEN"
    remedy = "Ask for a new token; `wundr token` makes one for development."


class TokenExpired(Refusal):
    """The token has expired."""

    code = "TOKEN_EXPIRED"
    remedy = "Connect again with a fresh token and the same cursor."


class BadCursor(Refusal):
    """The cursor is not one that this gateway gave."""

    code = "BAD_CURSOR"
    remedy = "Connect without a cursor to start from now."


class OriginRefused(Refusal):
    """Pages of this origin may not connect."""

    code = "ORIGIN_REFUSED"
    remedy = "Add the origin to the gateway's `origins`."


class HostRefused(Refusal):
    """The gateway does not answer under this host name."""

    code = "HOST_REFUSED"
    remedy = "Use the gateway's own address, or add an origin with this host to `origins`."
    http_status = 421


class TooManyConnections(Refusal):
    """A limit of connections is reached."""

    code = "TOO_MANY_CONNECTIONS"
    retryable: ClassVar[bool] = True
    remedy = "Wait a few seconds, then connect again with the same cursor."
    http_status = 503


class TooManyMessages(Refusal):
    """This client sends too many messages."""

    code = "TOO_MANY_MESSAGES"
    retryable: ClassVar[bool] = True
    remedy = "Join many rooms with one message, then connect again with the same cursor."


class UnexpectedPacket(Refusal):
    """This packet is not part of the protocol: text packets of Socket.IO 5 only."""

    code = "UNEXPECTED_PACKET"
    remedy = "Send JSON events only; binary attachments are refused."


class ConnectDeadline(Refusal):
    """The client did not connect to the namespace in time."""

    code = "CONNECT_DEADLINE"
    retryable: ClassVar[bool] = True
    remedy = "Connect to the namespace /ws with a token at once."


class ClientStalled(Refusal):
    """The client has not read anything for too long."""

    code = "CLIENT_STALLED"
    retryable: ClassVar[bool] = True
    remedy = "Connect again with the last cursor: nothing is lost while the history holds it."


class ShuttingDown(Refusal):
    """The gateway is stopping."""

    code = "SHUTTING_DOWN"
    retryable: ClassVar[bool] = True
    remedy = "Connect again with the last cursor."


class RoomUnknown(Refusal):
    """There is no such kind of room."""

    code = "ROOM_UNKNOWN"
    remedy = "Rooms are `system`, `project.<id>` and `user.<id>`."


class RoomForbidden(Refusal):
    """The token gives no right to this room."""

    code = "ROOM_FORBIDDEN"
    remedy = "Ask for a token whose `rooms` claim names the room."


class TooManyRooms(Refusal):
    """This client is in as many rooms as one client may be."""

    code = "TOO_MANY_ROOMS"
    remedy = "Leave rooms that are no longer needed."


class BadPattern(Refusal):
    """This is not a pattern of event types."""

    code = "BAD_PATTERN"
    remedy = "Use `*`, a type, or a prefix such as `analysis.*`."


class BadRequest(Refusal):
    """The message has the wrong shape."""

    code = "BAD_REQUEST"
    remedy = "Send a list of strings, or an object with `rooms` and `cursor`."
    http_status = 400
