"""Entries of a table in dictionaries."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping


class MemoryEntryStore:
    """Implements EntryStore; nothing survives the process."""

    def __init__(self) -> None:
        self._entries: defaultdict[int, dict[bytes, bytes]] = defaultdict(dict)
        self._offsets: dict[int, int] = {}

    def get(self, partition: int, key: bytes) -> bytes | None:
        """The value of a key."""
        return self._entries[partition].get(key)

    def reading(self, partition: int) -> Callable[[bytes], bytes | None]:
        """See EntryStore."""
        return self._entries[partition].get

    def write(
        self, partition: int, changes: Mapping[bytes, bytes], next_offset: int | None = None
    ) -> None:
        """Put all of these."""
        self._entries[partition].update(changes)
        if next_offset is not None:
            self._offsets[partition] = next_offset

    def next_offset(self, partition: int) -> int:
        """All changelog records below it are in the store."""
        return self._offsets.get(partition, 0)

    def items(self, partition: int) -> Iterator[tuple[bytes, bytes]]:
        """All keys and values as they are at this moment."""
        return iter(tuple(self._entries[partition].items()))

    def size(self) -> int:
        """How many keys there are."""
        return sum(map(len, self._entries.values()))

    def delete(self, partition: int) -> None:
        """Forget everything of a partition."""
        # The dictionary stays: who was given `reading` sees that nothing is left.
        self._entries[partition].clear()
        self._offsets.pop(partition, None)

    def release(self, partition: int) -> None:
        """Nothing is left for when it comes back."""
        self.delete(partition)

    def close(self) -> None:
        """There are no files."""
