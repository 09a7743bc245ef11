"""What a browser may send: text packets of Engine.IO 4 with Socket.IO 5 events inside.

Everything else is refused before the Socket.IO server sees it; binary attachments in particular,
which it would collect without a useful bound.
"""

from typing import Final

from socketio.packet import Packet

from gateway.errors import UnexpectedPacket

_ENGINE_CLOSE: Final = "1"
_ENGINE_PONG: Final = "3"
_ENGINE_MESSAGE: Final = "4"
_CONNECT: Final = 0
_DISCONNECT: Final = 1
_EVENT: Final = 2


def check_frame(frame: str | bytes) -> None:
    """Raise UnexpectedPacket unless a browser may send this frame."""
    if isinstance(frame, bytes):
        raise UnexpectedPacket("binary frames are refused")
    if frame == _ENGINE_CLOSE or frame[:1] == _ENGINE_PONG:
        return
    if frame[:1] != _ENGINE_MESSAGE or frame[1:2] not in {"0", "1", "2"}:
        raise UnexpectedPacket
    try:
        packet = Packet(encoded_packet=frame[1:])
    except (ValueError, TypeError, RecursionError) as error:
        raise UnexpectedPacket("the packet cannot be read") from error
    if not _is_understood(packet):
        raise UnexpectedPacket("the packet's content does not fit its kind")


def _is_understood(packet: Packet) -> bool:
    match packet.packet_type, packet.data:
        case int(kind), None | dict() if kind == _CONNECT:
            return True
        case int(kind), None if kind == _DISCONNECT:
            return True
        case int(kind), [str(), *_] if kind == _EVENT:
            return True
    return False
