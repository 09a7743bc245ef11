"""The port to what holds the entries of a table on this machine, partition by partition."""

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Protocol


class TableStore(StrEnum):
    """Where a worker keeps its tables."""

    MEMORY = "memory"
    """Fastest; recovered as a whole after each start."""

    ROCKSDB = "rocksdb"
    """On disk, for tables that are larger than memory; a start recovers what was written since."""


class EntryStore(Protocol):
    """Keys and values of the partitions of one table, and how far each is in its changelog.

    Raises StoreCorrupt where files cannot be read any more.
    """

    def get(self, partition: int, key: bytes) -> bytes | None:
        """The value of a key."""
        ...

    def reading(self, partition: int) -> Callable[[bytes], bytes | None]:
        """`get` of one partition, with as little around it as there can be."""
        ...

    def write(
        self, partition: int, changes: Mapping[bytes, bytes], next_offset: int | None = None
    ) -> None:
        """Put all of these, and the changelog offset after them if it is given, or nothing."""
        ...

    def next_offset(self, partition: int) -> int:
        """All changelog records below it are in the store; 0 for a partition that is not known."""
        ...

    def items(self, partition: int) -> Iterator[tuple[bytes, bytes]]:
        """All keys and values as they are at this moment."""
        ...

    def size(self) -> int:
        """How many keys there are in all partitions, near enough where counting would take long."""
        ...

    def delete(self, partition: int) -> None:
        """Forget everything of a partition, its offset too."""
        ...

    def release(self, partition: int) -> None:
        """The partition has gone to another worker: what costs memory may be forgotten."""
        ...

    def close(self) -> None:
        """Let go of files."""
        ...
