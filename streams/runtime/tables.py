"""Projection tables under Faust: assigned with the partitions, recovered from their changelogs.

Faust recovers and forgets entries. It sends no changelog records: the processor does, and awaits
them before offsets move. What Faust reads goes to the table itself, which keeps of each key the
furthest entry.
"""

from collections.abc import Callable, Iterable
from typing import Any, cast

import faust
from faust.stores import memory
from faust.types import TP
from yarl import URL

from streams.memory.table_store import MemoryEntryStore
from streams.table import Change, Table


class RecoveringStore(memory.Store[bytes, bytes]):
    """Faust's store of one table: it passes everything on, and holds nothing itself."""

    table_in_use: Table

    def apply_changelog_batch(
        self,
        batch: Iterable[Any],
        to_key: Callable[[Any], Any],
        to_value: Callable[[Any], Any],
    ) -> None:
        """See memory.Store."""
        changes: dict[int, list[Change]] = {}
        for event in batch:
            change = (to_key(event.key), to_value(event.value))
            changes.setdefault(event.message.partition, []).append(change)
        for partition, found in changes.items():
            self.table_in_use.partition(partition).recover(found, None)

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """See memory.Store."""
        self.table_in_use.retain({partition for _, partition in active_tps})


class ProjectionTable(faust.Table[bytes, bytes]):
    """A Faust table on a RecoveringStore."""

    def _new_store_by_url(self, url: str | URL) -> RecoveringStore:
        return RecoveringStore(
            url,
            self.app,
            self,
            table_name=self.name,
            key_type=self.key_type,
            value_type=self.value_type,
            key_serializer=self.key_serializer,
            value_serializer=self.value_serializer,
        )


class FaustTable(Table):
    """A table that Faust assigns and recovers."""

    def __init__(self, app: faust.App, name: str, changelog: str) -> None:
        super().__init__(
            changelog, MemoryEntryStore(), generation=lambda: int(app.consumer_generation_id)
        )
        topic = app.topic(
            changelog,
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
            acks=False,
            allow_empty=True,
        )
        self.faust_table = app.Table(name, key_type=bytes, value_type=bytes, changelog_topic=topic)
        cast(RecoveringStore, self.faust_table.data).table_in_use = self
