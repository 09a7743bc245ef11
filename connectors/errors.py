"""Errors of the database edge.

WundrError
└── ConnectorsError
    ├── DatabaseUnavailable   Postgres is away: retryable, pauses, never a dead letter
    ├── DatabaseRefused       Postgres answers, and says no: the same call fails again
    │   ├── AppendOnly        somebody tried to change or remove stored events
    │   └── NotMigrated       the tables are missing or older than this code
    ├── InvalidPostgresSettings
    ├── MigrationChanged      an applied migration file is not what it was
    ├── EventNotFound         no stored event has this id
    ├── ForeignCluster        the database knows another Kafka
    ├── CheckpointMoved       a subscription is not where its reader left it
    ├── Fenced                another sink owns the partition now
    ├── VersionTaken          two events claim one version of one aggregate
    └── Unstorable            an envelope that no column can hold
"""

from collections.abc import Collection, Iterable
from typing import ClassVar

from schemas.errors import WundrError
from streams.errors import InfrastructureError


class ConnectorsError(WundrError):
    """A database did not do what was asked."""

    code = "connectors"


class DatabaseUnavailable(ConnectorsError, InfrastructureError):
    """Postgres does not answer."""

    code = "connectors.database_unavailable"
    retryable: ClassVar[bool] = True
    remedy = "Run `wundr status`; work goes on by itself once Postgres is back."


class DatabaseRefused(ConnectorsError):
    """Postgres refused a statement."""

    code = "connectors.database_refused"
    remedy = "Run `wundr doctor`; check the role's rights and the applied migrations."


class AppendOnly(DatabaseRefused):
    """Stored events are never changed or removed."""

    code = "connectors.append_only"
    remedy = "Publish a new event that corrects the old one."


class NotMigrated(DatabaseRefused):
    """The database lacks a table or column that this version needs."""

    code = "connectors.not_migrated"
    remedy = "Run `wundr up`, which applies the migrations."


class InvalidPostgresSettings(ConnectorsError):
    """The address of Postgres cannot be read."""

    code = "connectors.invalid_postgres_settings"
    remedy = "Write it as postgresql://user:password@host:port/database."


class MigrationChanged(ConnectorsError):
    """An applied migration file is not what it was."""

    code = "connectors.migration_changed"
    remedy = "Restore the files from the release that applied them; put changes in a new migration."

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        super().__init__(f"Changed or missing since they were applied: {', '.join(self.names)}.")


class EventNotFound(ConnectorsError):
    """No stored event has this id."""

    code = "connectors.event_not_found"
    remedy = "Look for it with `wundr events tail`; a new event is stored within seconds."

    def __init__(self, event_id: str) -> None:
        self.event_id = event_id
        super().__init__(f"No stored event has the id {event_id}.")


class ForeignCluster(ConnectorsError):
    """The database was filled from another Kafka."""

    code = "connectors.foreign_cluster"
    remedy = (
        "Point the sink at the Kafka that filled this database, or give it an empty database; "
        "mixing both would mark events as stored that never were."
    )

    def __init__(self, topic_id: str, known: Iterable[str]) -> None:
        self.topic_id = topic_id
        self.known = tuple(sorted(known))
        super().__init__(
            f"This database was filled from store.events {', '.join(self.known)}, "
            f"the connected Kafka has store.events {topic_id}."
        )


class CheckpointMoved(ConnectorsError):
    """A catch-up subscription is not where its reader left it."""

    code = "connectors.checkpoint_moved"
    remedy = "Let one process read a partition of a subscription, then load the checkpoints again."

    def __init__(self, subscription: str, partition: int, expected: int) -> None:
        self.subscription = subscription
        self.partition = partition
        super().__init__(
            f"Partition {partition} of {subscription!r} is no longer at offset {expected}: "
            "somebody else reads it, or an unconfirmed commit had succeeded."
        )


class Fenced(ConnectorsError):
    """Another sink has taken over, or an unconfirmed commit had succeeded."""

    code = "connectors.fenced"
    retryable: ClassVar[bool] = True
    remedy = "Nothing to do: the sink joins again and goes on from what Postgres holds."

    def __init__(self, partitions: Collection[int]) -> None:
        self.partitions = tuple(sorted(partitions))
        super().__init__(f"Partitions {self.partitions} are no longer where this sink left them.")


class VersionTaken(ConnectorsError):
    """Another event already is this version of its aggregate."""

    code = "connectors.version_taken"
    remedy = "Two writers assigned the same version: only append() may assign versions."

    def __init__(self, event_ids: Iterable[str]) -> None:
        self.event_ids = frozenset(event_ids)
        super().__init__(
            f"Version of the aggregate already taken: {', '.join(sorted(self.event_ids))}."
        )


class Unstorable(ConnectorsError):
    """The envelope holds a value that Postgres cannot hold."""

    code = "connectors.unstorable"
    remedy = "Publish the event again with a valid id and timestamp."
