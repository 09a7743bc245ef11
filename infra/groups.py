"""Consumer groups as the broker has them: members, owners, and how far they are behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka import TopicPartition as KafkaPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from infra.topics import admin_client, typed_errors
from schemas.topics import is_changelog
from streams.records import TopicPartition

TIMEOUT_S: Final = 15.0
NOTHING_COMMITTED: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupPartition:
    """A partition of a group: its owner (None without one), the next offset, the log's end."""

    source: TopicPartition
    owner: str | None
    committed: int | None
    beginning: int
    end: int

    @property
    def lag(self) -> int:
        """How many offsets the group is behind; it begins with the first that is kept."""
        start = self.beginning if self.committed is None else max(self.committed, self.beginning)
        return max(0, self.end - start)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A consumer group. `state` is the broker's word, such as `stable` or `empty`."""

    name: str
    state: str
    members: Sequence[str]
    partitions: Sequence[GroupPartition]

    @property
    def work(self) -> Sequence[GroupPartition]:
        """The partitions whose offsets the group commits.

        Members are assigned the changelogs of their tables, too, which nobody ever commits.
        """
        return [it for it in self.partitions if not is_changelog(it.source.topic)]

    @property
    def lag(self) -> int:
        """Of all that it works on together."""
        return sum(it.lag for it in self.work)


def read_groups(bootstrap: str) -> list[Group]:
    """All groups of the broker, by name. Raises BrokerUnreachable."""
    admin = admin_client(bootstrap)
    with typed_errors("listing the consumer groups"):
        listed = admin.list_consumer_groups(request_timeout=TIMEOUT_S).result(TIMEOUT_S)
        names = sorted(it.group_id for it in listed.valid if not it.is_simple_consumer_group)
    return _with_ends(admin, [_group(admin, name) for name in names])


def _group(admin: AdminClient, name: str) -> Group:
    with typed_errors(f"looking at group {name}"):
        found = admin.describe_consumer_groups([name], request_timeout=TIMEOUT_S)[name]
        described = found.result(TIMEOUT_S)
        asked = [ConsumerGroupTopicPartitions(name)]
        committed = admin.list_consumer_group_offsets(asked)[name].result(TIMEOUT_S)
    owners = {
        TopicPartition(it.topic, it.partition): member.client_id
        for member in described.members
        for it in member.assignment.topic_partitions
    }
    offsets = {
        TopicPartition(it.topic, it.partition): it.offset
        for it in committed.topic_partitions
        if it.offset >= NOTHING_COMMITTED
    }
    topics = {source.topic for source in (*owners, *offsets)}
    counts = _partition_counts(admin, topics)
    sources = [
        TopicPartition(topic, number)
        for topic in sorted(topics)
        for number in range(counts.get(topic, 0))
    ]
    return Group(
        name=name,
        state=described.state.name.lower(),
        members=[member.client_id for member in described.members],
        partitions=[
            GroupPartition(
                source=source,
                owner=owners.get(source),
                committed=offsets.get(source),
                beginning=0,
                end=0,
            )
            for source in sources
        ],
    )


def _partition_counts(admin: AdminClient, topics: set[str]) -> Mapping[str, int]:
    existing = admin.list_topics(timeout=TIMEOUT_S).topics
    return {name: len(existing[name].partitions) for name in topics if name in existing}


def _with_ends(admin: AdminClient, groups: Sequence[Group]) -> list[Group]:
    sources = {it.source for group in groups for it in group.partitions}
    beginnings = _offsets(admin, sources, OffsetSpec.earliest())  # type: ignore[no-untyped-call]
    ends = _offsets(admin, sources, OffsetSpec.latest())  # type: ignore[no-untyped-call]
    return [
        replace(
            group,
            partitions=[
                replace(it, beginning=beginnings[it.source], end=ends[it.source])
                for it in group.partitions
            ],
        )
        for group in groups
    ]


def _offsets(
    admin: AdminClient, sources: set[TopicPartition], spec: OffsetSpec
) -> Mapping[TopicPartition, int]:
    if not sources:
        return {}
    asked = {KafkaPartition(*source): spec for source in sources}
    with typed_errors("asking for offsets"):
        return {
            TopicPartition(place.topic, place.partition): future.result(TIMEOUT_S).offset
            for place, future in admin.list_offsets(asked, request_timeout=TIMEOUT_S).items()
        }
