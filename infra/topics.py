"""Topics as code: compare what should be with what is, then create what is missing.

Nothing is ever deleted, and a partition count is never changed: keys would move to other partitions
and the order of an aggregate would be lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from enum import StrEnum

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
)
from confluent_kafka.error import KafkaError

from infra.errors import BrokerUnreachable, TopicPlanRefused
from schemas.topics import TopicSpec

_TIMEOUT_S = 15.0


class Action(StrEnum):
    """What has to happen to a topic."""

    CREATE = "create"
    CONFIGURE = "configure"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistingTopic:
    """A topic as the broker has it; `config` holds effective values."""

    partitions: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicChange:
    """One step of a plan and what it is for."""

    action: Action
    spec: TopicSpec
    detail: str


def compare(specs: Iterable[TopicSpec], existing: Mapping[str, ExistingTopic]) -> list[TopicChange]:
    """The steps from `existing` to `specs`; topics that nobody asks for are left alone."""
    changes = []
    for spec in specs:
        change = _compare_one(spec, existing.get(spec.name))
        if change is not None:
            changes.append(change)
    return changes


def _compare_one(spec: TopicSpec, found: ExistingTopic | None) -> TopicChange | None:
    if found is None:
        detail = f"{spec.partitions} partitions, {spec.why}"
        return TopicChange(action=Action.CREATE, spec=spec, detail=detail)
    if found.partitions != spec.partitions:
        detail = f"has {found.partitions} partitions, should have {spec.partitions}"
        return TopicChange(action=Action.REFUSE, spec=spec, detail=detail)
    differing = {key: value for key, value in spec.config.items() if found.config.get(key) != value}
    if not differing:
        return None
    detail = ", ".join(
        f"{key}: {found.config.get(key)} -> {value}" for key, value in sorted(differing.items())
    )
    return TopicChange(action=Action.CONFIGURE, spec=spec, detail=detail)


def plan(bootstrap: str, specs: Iterable[TopicSpec]) -> list[TopicChange]:
    """What `apply` would do. Raises BrokerUnreachable."""
    wanted = list(specs)
    return compare(wanted, _existing(_admin(bootstrap), [spec.name for spec in wanted]))


def apply(bootstrap: str, changes: Sequence[TopicChange]) -> None:
    """Carry out a plan. Raises TopicPlanRefused before anything is touched, BrokerUnreachable."""
    refused = [change for change in changes if change.action is Action.REFUSE]
    if refused:
        raise TopicPlanRefused("; ".join(f"{it.spec.name} {it.detail}" for it in refused))
    admin = _admin(bootstrap)
    new = [
        NewTopic(
            it.spec.name,
            num_partitions=it.spec.partitions,
            replication_factor=-1,
            config=dict(it.spec.config),
        )
        for it in changes
        if it.action is Action.CREATE
    ]
    if new:
        _wait_for_creation(admin.create_topics(new, operation_timeout=_TIMEOUT_S))
    altered = [_alteration(it.spec) for it in changes if it.action is Action.CONFIGURE]
    if altered:
        for future in admin.incremental_alter_configs(altered).values():
            future.result(_TIMEOUT_S)


def topic_ids(bootstrap: str, names: Sequence[str]) -> Mapping[str, str]:
    """The broker's id of each topic, which changes when a topic is made anew."""
    # The client must outlive its futures: they are never done once it is gone.
    admin = _admin(bootstrap)
    futures = admin.describe_topics(TopicCollection(list(names)))
    return {name: str(future.result(_TIMEOUT_S).topic_id) for name, future in futures.items()}


def is_reachable(bootstrap: str, timeout_s: float = 3.0) -> bool:
    """True when a broker answers within the time."""
    try:
        _quiet_client(bootstrap).list_topics(timeout=timeout_s)
    except KafkaException:
        return False
    return True


def _quiet_client(bootstrap: str) -> AdminClient:
    # librdkafka writes each lost connection to stderr; errors reach the caller as exceptions.
    return AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})


def _admin(bootstrap: str) -> AdminClient:
    client = _quiet_client(bootstrap)
    try:
        client.list_topics(timeout=_TIMEOUT_S)
    except KafkaException as error:
        raise BrokerUnreachable(f"No Kafka broker answers at {bootstrap}.") from error
    return client


def _existing(admin: AdminClient, names: Sequence[str]) -> dict[str, ExistingTopic]:
    topics = admin.list_topics(timeout=_TIMEOUT_S).topics
    present = [name for name in names if name in topics]
    if not present:
        return {}
    resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in present]
    configs = {
        resource.name: {key: entry.value for key, entry in future.result(_TIMEOUT_S).items()}
        for resource, future in admin.describe_configs(resources).items()
    }
    return {
        name: ExistingTopic(partitions=len(topics[name].partitions), config=configs[name])
        for name in present
    }


def _wait_for_creation(futures: Mapping[str, Future[None]]) -> None:
    for future in futures.values():
        try:
            future.result(_TIMEOUT_S)
        except KafkaException as error:
            # Another process may apply the same plan at the same time.
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise


def _alteration(spec: TopicSpec) -> ConfigResource:
    entries = [
        ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
        for key, value in spec.config.items()
    ]
    return ConfigResource(ConfigResource.Type.TOPIC, spec.name, incremental_configs=entries)
