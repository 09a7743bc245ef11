"""Projection tables under Faust: assigned with the partitions of the events that they are made of.

Faust knows that there is a table with this changelog, so that its assignor keeps them together. It
holds no entry, recovers nothing and sends no changelog record: see streams/table.py for what does.
"""

from typing import Any

import faust

from streams.table import Table
from streams.table_store import EntryStore


class ProjectionTable(faust.Table[bytes, bytes]):
    """What Faust knows of a table of ours; its own store stays empty."""


class FaustTable(Table):
    """A table that Faust assigns."""

    def __init__(self, app: faust.App, name: str, changelog: str, store: EntryStore) -> None:
        super().__init__(changelog, store, generation=lambda: int(app.consumer_generation_id))
        topic = app.topic(
            changelog,
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
            acks=False,
            allow_empty=True,
        )
        table: Any = ProjectionTable(
            app, name=name, key_type=bytes, value_type=bytes, changelog_topic=topic
        )
        app.tables.add(table)
