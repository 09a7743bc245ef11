"""Records as they stand in a log: bytes with a place, before anything is decoded."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple, Self

ORIGIN = "wundr_origin"
"""Header of a copied record: the place in `events.*` that it was copied from."""

LATE = "wundr_late"
"""Header of a copy that was made when later records of its source had been copied already."""

Headers = tuple[tuple[str, bytes], ...]


def first_header(headers: Headers, name: str) -> bytes | None:
    """The first header of this name."""
    for key, value in headers:
        if key == name:
            return value
    return None


class TopicPartition(NamedTuple):
    """One partition of one topic: the unit of order."""

    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}"


class Origin(NamedTuple):
    """The place in `events.*` where a record was first read."""

    topic: str
    partition: int
    offset: int

    @property
    def source(self) -> TopicPartition:
        """The partition without the offset."""
        return TopicPartition(self.topic, self.partition)

    def encode(self) -> bytes:
        """The header value: `topic/partition/offset`."""
        return f"{self.topic}/{self.partition}/{self.offset}".encode()

    @classmethod
    def decode(cls, value: bytes) -> Self:
        """Read a header value; raises ValueError when it is not one."""
        topic, partition, offset = value.decode().rsplit("/", 2)
        return cls(topic, int(partition), int(offset))


class RawRecord(NamedTuple):
    """A record that was read. `timestamp_ms` is the broker's, in milliseconds since 1970.

    A tuple, because one is made for each record that passes a worker.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    @property
    def source(self) -> TopicPartition:
        """Where it was read."""
        return TopicPartition(self.topic, self.partition)

    @property
    def origin(self) -> Origin:
        """Where it first stood in `events.*`: its header if it is a copy, else its own place."""
        copied_from = self.header(ORIGIN)
        if copied_from is not None:
            with suppress(ValueError):  # anybody can write a header: then it is no copy of ours
                return Origin.decode(copied_from)
        return Origin(self.topic, self.partition, self.offset)

    def header(self, name: str) -> bytes | None:
        """The first header of this name."""
        return first_header(self.headers, name)


class OutgoingRecord(NamedTuple):
    """A record to send. Without a partition the key decides (murmur2, as in Java)."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    partition: int | None = None


class OutgoingEntries(NamedTuple):
    """Keys and values for one partition, one behind the other: records without headers.

    `are_last`: whoever sends them waits for their receipt before anything else comes.
    """

    topic: str
    partition: int
    entries: Sequence[tuple[bytes, bytes]]
    are_last: bool = False

    def records(self) -> Iterator[OutgoingRecord]:
        """Each by itself."""
        for key, value in self.entries:
            yield OutgoingRecord(self.topic, key, value, partition=self.partition)
