"""The port to a projection's table.

A key-value store whose changes are kept in a changelog topic.
"""

from typing import Protocol


class Table(Protocol):
    """Entries of the partitions that this worker owns."""

    @property
    def changelog(self) -> str:
        """The compacted topic from which the table is recovered."""
        ...

    def get(self, key: str) -> bytes | None:
        """The stored entry."""
        ...

    def put(self, key: str, value: bytes, partition: int) -> None:
        """Store an entry locally; its change is in the changelog already."""
        ...


class MemoryTable:
    """A table in a dictionary, for tests and apps that run in process."""

    def __init__(self, changelog: str) -> None:
        self._changelog = changelog
        self._entries: dict[str, bytes] = {}

    @property
    def changelog(self) -> str:
        """The topic that holds its changes."""
        return self._changelog

    def get(self, key: str) -> bytes | None:
        """The stored entry."""
        return self._entries.get(key)

    def put(self, key: str, value: bytes, partition: int) -> None:
        """Store an entry."""
        self._entries[key] = value

    def items(self) -> tuple[tuple[str, bytes], ...]:
        """All entries by key."""
        return tuple(self._entries.items())

    def keys(self) -> tuple[str, ...]:
        """All keys."""
        return tuple(self._entries)
