"""The port to a projection's table.

A key-value store whose changes are kept in a changelog topic.
"""

from collections.abc import Sequence
from typing import Protocol


class Table(Protocol):
    """Entries of the partitions that this worker owns."""

    @property
    def changelog(self) -> str:
        """The compacted topic from which the table is recovered."""
        ...

    @property
    def generation(self) -> int:
        """The group's generation, which entries are written with."""
        ...

    def get(self, key: str) -> bytes | None:
        """The stored entry."""
        ...

    def overtaken(self, partition: int) -> Sequence[str]:
        """Keys whose last changelog record is not their entry: they must be written again.

        Compaction would keep the wrong one.
        """
        ...

    def put(self, key: str, value: bytes, partition: int) -> None:
        """Store an entry locally; the last changelog record of its key is this one already."""
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

    @property
    def generation(self) -> int:
        """There is no group, so there is one generation."""
        return 0

    def overtaken(self, partition: int) -> Sequence[str]:
        """None: nobody else writes to its changelog."""
        return ()

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
