"""Projection tables kept by Faust: assigned with the partitions, recovered from their changelogs.

Faust recovers and forgets entries. It sends no changelog records: the processor does, and awaits
them before offsets move. So what a table shows is in its changelog, and a recovery never brings
back less than was shown.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import faust


class StoredEntry(NamedTuple):
    """One entry of a table with the partition that it belongs to."""

    key: str
    partition: int
    value: bytes


class FaustTable:
    """The port `streams.table.Table` on a Faust table with its memory store."""

    def __init__(self, app: faust.App, name: str, changelog: str) -> None:
        self._changelog = changelog
        topic = app.topic(
            changelog,
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
            acks=False,
            allow_empty=True,
        )
        table = app.Table(name, key_type=bytes, value_type=bytes, changelog_topic=topic)
        self._store: Any = table.data

    @property
    def changelog(self) -> str:
        """The compacted topic from which the table is recovered."""
        return self._changelog

    def get(self, key: str) -> bytes | None:
        """The stored entry."""
        value: bytes | None = self._store.data.get(key.encode())
        return value

    def put(self, key: str, value: bytes, partition: int) -> None:
        """Store an entry; Faust forgets it once the partition has gone to another worker."""
        stored_key = key.encode()
        self._store.data[stored_key] = value
        self._store._key_partition[stored_key] = partition  # noqa: SLF001  # see the contract test

    def entries(self) -> Iterator[StoredEntry]:
        """All entries that are held now."""
        partitions = self._store._key_partition  # noqa: SLF001  # as above
        for key, value in tuple(self._store.data.items()):
            yield StoredEntry(key.decode(), partitions[key], value)
