"""Projection tables kept by Faust: assigned with the partitions, recovered from their changelogs.

Faust recovers and forgets entries. It sends no changelog records: the processor does, and awaits
them before offsets move. So what a table shows is in its changelog, and a recovery never brings
back less than was shown, also when a worker that had lost its partitions wrote to it later.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, cast

import faust
from faust.stores import memory
from yarl import URL

from streams.projection import Entry


class StoredEntry(NamedTuple):
    """One entry of a table with the partition that it belongs to."""

    key: str
    partition: int
    value: bytes


class FurthestStore(memory.Store[bytes, bytes]):
    """Faust's memory store; a recovery keeps of each key the furthest entry, not the last."""

    def __post_init__(self) -> None:
        """Called by Faust instead of a constructor."""
        super().__post_init__()
        self.overtaken: set[bytes] = set()

    def apply_changelog_batch(
        self,
        batch: Iterable[Any],
        to_key: Callable[[Any], Any],
        to_value: Callable[[Any], Any],
    ) -> None:
        """See memory.Store. Our changelogs have no deletions."""
        for event in batch:
            key, value = to_key(event.key), to_value(event.value)
            known = self.data.get(key)
            if known is None or Entry.decode(value).replaces(Entry.decode(known)):
                self.keep(key, value, event.message.partition)
            else:
                self.overtaken.add(key)

    def keep(self, key: bytes, value: bytes, partition: int) -> None:
        """Hold an entry whose record is the last of its key."""
        self.data[key] = value
        self._key_partition[key] = partition
        self.overtaken.discard(key)

    def entries(self) -> Iterator[tuple[bytes, bytes, int]]:
        """Key, value and partition of all entries that are held now."""
        for key, value in tuple(self.data.items()):
            yield key, value, self._key_partition[key]

    def overtaken_in(self, partition: int) -> list[bytes]:
        """Keys whose last record in the changelog was left out."""
        return [key for key in self.overtaken if self._key_partition.get(key) == partition]


class ProjectionTable(faust.Table[bytes, bytes]):
    """A Faust table on a FurthestStore."""

    def _new_store_by_url(self, url: str | URL) -> FurthestStore:
        return FurthestStore(
            url,
            self.app,
            self,
            table_name=self.name,
            key_type=self.key_type,
            value_type=self.value_type,
            key_serializer=self.key_serializer,
            value_serializer=self.value_serializer,
        )


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
        self._app = app
        self._store = cast(FurthestStore, table.data)

    @property
    def changelog(self) -> str:
        """The compacted topic from which the table is recovered."""
        return self._changelog

    @property
    def generation(self) -> int:
        """The group's generation that the worker is in."""
        return int(self._app.consumer_generation_id)

    def overtaken(self, partition: int) -> Sequence[str]:
        """See Table."""
        return [key.decode() for key in self._store.overtaken_in(partition)]

    def get(self, key: str) -> bytes | None:
        """The stored entry."""
        value: bytes | None = self._store.data.get(key.encode())
        return value

    def put(self, key: str, value: bytes, partition: int) -> None:
        """Store an entry; Faust forgets it once the partition has gone to another worker."""
        self._store.keep(key.encode(), value, partition)

    def entries(self) -> Iterator[StoredEntry]:
        """All entries that are held now."""
        for key, value, partition in self._store.entries():
            yield StoredEntry(key.decode(), partition, value)
