"""The readers in Python, and those in C where they are built: one suite asks both."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from schemas import native
from schemas.data_reader import ReadData, compile_typed_reader, compile_wire_reader
from schemas.envelope import Envelope
from schemas.framing import HEADER_SIZE
from schemas.native_data import typed_reader, wire_reader
from schemas.native_view import event_view
from schemas.prefix_reader import EventView, PrefixReader, compile_event_view, compile_prefix_reader


@dataclass(frozen=True, slots=True)
class Reading:
    """How one of them is compiled."""

    name: str
    prefix: Callable[[Mapping[str, Any]], PrefixReader]
    view: Callable[..., EventView]
    typed: Callable[..., ReadData]
    wire: Callable[..., ReadData]

    def __str__(self) -> str:
        return self.name


def _prefix_in_c(composed: Mapping[str, Any]) -> PrefixReader:
    """The view of an event, as a reader of its envelope alone."""
    view = event_view(composed, NO_DATA)

    def read(data: bytes, at: int) -> tuple[Envelope, int]:
        event = view(bytes(HEADER_SIZE) + data[at:])
        return event.envelope, event._offset - HEADER_SIZE + at

    return read


class _NoData:
    """Data that are never touched."""

    def payload(self, framed: bytes, offset: int) -> Mapping[str, Any]:
        raise AssertionError

    def data(self, framed: bytes, offset: int) -> Any:
        raise AssertionError


NO_DATA: Final = _NoData()
IN_PYTHON: Final = Reading(
    "Python", compile_prefix_reader, compile_event_view, compile_typed_reader, compile_wire_reader
)
IN_C: Final = Reading("C", _prefix_in_c, event_view, typed_reader, wire_reader)
READINGS: Final = (IN_PYTHON, IN_C) if native.IN_USE else (IN_PYTHON,)
