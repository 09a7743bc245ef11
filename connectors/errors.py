"""Errors of the database edge.

WundrError
└── ConnectorsError
    ├── DatabaseUnavailable   Postgres is away: retryable, pauses, never a dead letter
    ├── RestoreUnfinished     the store lacks events that a restore is bringing back: retryable
    ├── DatabaseRefused       Postgres answers, and says no: the same call fails again
    │   ├── AppendOnly        somebody tried to change or remove stored events
    │   └── NotMigrated       the tables are missing or older than this code
    ├── InvalidPostgresSettings
    ├── MigrationChanged      an applied migration file is not what it was
    ├── EventNotFound         no stored event has this id
    ├── CourseNotFound        no saga has a course of this key
    ├── ForeignCluster        the database knows another Kafka
    ├── CheckpointMoved       a subscription is not where its reader left it
    ├── Fenced                another sink owns the partition now
    ├── ShardLost             another relay owns the shard of the outbox now
    ├── VersionTaken          two events claim one version of one aggregate
    ├── AlreadyKnown          rows that were to be new are stored already
    ├── OutboxNotEmpty        events exist in Postgres alone: no restore knows them
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


class RestoreUnfinished(ConnectorsError, InfrastructureError):
    """A restore has not brought back all events: what is the next version is not known."""

    code = "connectors.restore_unfinished"
    retryable: ClassVar[bool] = True
    remedy = "Let `wundr store restore` end, or run it again; appends go on by themselves then."

    def __init__(self) -> None:
        super().__init__("The event store is being restored: nothing can be appended to it yet.")


class AppendOnly(DatabaseRefused):
    """Stored events are never changed or removed."""

    code = "connectors.append_only"
    remedy = "Publish a new event that corrects the old one."


class NotMigrated(DatabaseRefused):
    """The database lacks a table or column that this version needs."""

    code = "connectors.not_migrated"
    remedy = "Start `wundr sink` or `wundr relay`: each applies the migrations."


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


class CourseNotFound(ConnectorsError):
    """No saga of this name has a course of this key."""

    code = "connectors.course_not_found"
    remedy = "Look for it with `wundr sagas list --over`; it begins with the event that starts it."

    def __init__(self, saga: str, key: str) -> None:
        self.saga = saga
        self.key = key
        super().__init__(f"The saga {saga!r} has no course {key!r}.")


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


class ShardLost(ConnectorsError):
    """Another relay has taken over."""

    code = "connectors.shard_lost"
    retryable: ClassVar[bool] = True
    remedy = "Nothing to do: the other relay goes on; this one stands by."

    def __init__(self, shard: int) -> None:
        self.shard = shard
        super().__init__(f"Shard {shard} of the outbox has another owner.")


class VersionTaken(ConnectorsError):
    """Another event already is this version of its aggregate."""

    code = "connectors.version_taken"
    remedy = "Two writers assigned the same version: only append() may assign versions."

    def __init__(self, event_ids: Iterable[str]) -> None:
        self.event_ids = frozenset(event_ids)
        super().__init__(
            f"Version of the aggregate already taken: {', '.join(sorted(self.event_ids))}."
        )


class AlreadyKnown(ConnectorsError):
    """Some rows stand in the table already; nothing was written."""

    code = "connectors.already_known"
    remedy = "Nothing to do: the rows are stored again by a way that leaves out what is known."


class OutboxNotEmpty(ConnectorsError):
    """Events were appended that the relay has not sent yet."""

    code = "connectors.outbox_not_empty"
    remedy = (
        "Run `wundr relay` until the outbox is empty, then restore. Never drop this database "
        "before: no topic has these events."
    )

    def __init__(self, events: int) -> None:
        self.events = events
        super().__init__(
            f"{events} events wait in the outbox. They exist in this PostgreSQL alone, "
            "so a restore from Kafka would not know them."
        )


class Unstorable(ConnectorsError):
    """The envelope holds a value that Postgres cannot hold."""

    code = "connectors.unstorable"
    remedy = "Publish the event again with a valid id and timestamp."
