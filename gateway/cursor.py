"""Where a client is in the broadcasts: per partition the next offset, with the topic's epoch.

The epoch is the topic's id: offsets of a topic that was made anew cannot be compared with the old
ones. On the wire: `{"broadcast.project/2": {"epoch": "...", "offset": 41}}`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

from gateway.errors import BadCursor
from streams.records import TopicPartition

MAX_CURSOR_PARTITIONS: Final = 4_096
Offsets = Mapping[TopicPartition, int]


class CursorPosition(NamedTuple):
    """The next offset a client wants from a partition of this epoch."""

    epoch: str
    offset: int


Cursor = Mapping[TopicPartition, CursorPosition]


class GapReason(StrEnum):
    """Why something cannot be sent any more."""

    OUT_OF_HISTORY = "out_of_history"
    NEW_EPOCH = "new_epoch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Offsets from `start` up to, not including, `stop` that cannot be sent.

    `stop` is None if the end is not known: a topic of an earlier epoch is gone.
    """

    source: TopicPartition
    start: int
    stop: int | None
    reason: GapReason

    def to_wire(self) -> dict[str, Any]:
        """One of the `ranges` of a `gap` message."""
        return {
            "topic": self.source.topic,
            "partition": self.source.partition,
            "from": self.start,
            "to": self.stop,
            "reason": self.reason.value,
        }


def cursor_to_wire(offsets: Offsets, epochs: Mapping[str, str]) -> dict[str, Any]:
    """The cursor a client keeps and gives back unchanged."""
    return {
        str(source): {"epoch": epochs[source.topic], "offset": offset}
        for source, offset in offsets.items()
    }


def cursor_from_wire(value: object) -> Cursor:
    """Read a client's cursor. Raises BadCursor naming the entry."""
    if not isinstance(value, dict) or len(value) > MAX_CURSOR_PARTITIONS:
        raise BadCursor
    return dict(_entry(name, position) for name, position in value.items())


def _entry(name: object, position: object) -> tuple[TopicPartition, CursorPosition]:
    topic, _, partition = str(name).rpartition("/")
    if not topic or not (partition.isascii() and partition.isdecimal() and len(partition) < 10):
        raise BadCursor(f"the cursor has an entry {str(name)[:100]!r} that is no topic/partition")
    match position:
        case {"epoch": str(epoch), "offset": int(offset)} if offset >= 0 and not isinstance(
            offset, bool
        ):
            return TopicPartition(topic, int(partition)), CursorPosition(epoch, offset)
    raise BadCursor(f"the cursor's entry {str(name)[:100]!r} has no epoch and offset")
