"""The place of an emitted event: which record brought it about, the how-manieth it is.

A handler that runs again after a crash emits the same events at new offsets, any number of them.
One handler's events that are caused by one partition are a stream: it is worked on in order and
begun again at the latest where it was left, so an event at or below the furthest place that was
seen is a repeat.
"""

from typing import Final, NamedTuple, Self

from streams.records import Origin

EMISSION: Final = "wundr_emission"
"""Header of an emitted event: its place in the stream of its handler."""

ORDINALS: Final = 1 << 20
"""More than a handler can emit for one event; with it a place is one number."""

LAST_OFFSET: Final = (1 << 42) - 1
"""Of a cause: a place, offset and ordinal, stays below 2^62. A partition has fewer records."""


class Emission(NamedTuple):
    """An event's place: the n-th that a handler emitted for the record at `cause`."""

    app: str
    handler: str
    cause: Origin
    ordinal: int

    @property
    def stream(self) -> str:
        """What is in order: the events of one handler for one partition."""
        return f"{self.app}/{self.handler}/{self.cause.source}"

    @property
    def place(self) -> int:
        """Grows along the stream."""
        return self.cause.offset * ORDINALS + self.ordinal

    def encode(self) -> bytes:
        """The header value: `topic/partition/offset/ordinal/app/handler`."""
        return b"/".join(
            (self.cause.encode(), f"{self.ordinal}/{self.app}/{self.handler}".encode())
        )

    @classmethod
    def decode(cls, value: bytes) -> Self:
        """Read a header value; raises ValueError when it is not one."""
        topic, partition, offset, ordinal, app, handler = value.decode().split("/", 5)
        found = cls(app, handler, Origin(topic, int(partition), int(offset)), int(ordinal))
        if not (0 <= found.cause.offset <= LAST_OFFSET and 0 <= found.ordinal < ORDINALS):
            raise ValueError(f"no handler emits at {found.cause.offset}/{found.ordinal}")
        return found
