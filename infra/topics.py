"""Topics as code: compare what should be with what is, then create what is missing.

Nothing is ever deleted, and a partition count is never changed: keys would move to other partitions
and the order of an aggregate would be lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
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
from schemas.errors import WundrError
from schemas.topics import TopicSpec
from streams.errors import TopicMissing

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
    """The steps from `existing` to `specs`; topics that nobody asks for are left alone.

    Raises TopicPlanRefused when a name is asked for twice and not alike.
    """
    changes = []
    for spec in _each_once(specs):
        change = _compare_one(spec, existing.get(spec.name))
        if change is not None:
            changes.append(change)
    return changes


def _each_once(specs: Iterable[TopicSpec]) -> Iterable[TopicSpec]:
    wanted: dict[str, TopicSpec] = {}
    for spec in specs:
        first = wanted.setdefault(spec.name, spec)
        if (first.partitions, dict(first.config)) != (spec.partitions, dict(spec.config)):
            raise TopicPlanRefused(
                f"{spec.name} is asked for twice: {first.partitions} partitions, "
                f"{dict(first.config)} and {spec.partitions} partitions, {dict(spec.config)}"
            )
    return wanted.values()


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
    """What `apply` would do. Raises BrokerUnreachable, TopicPlanRefused."""
    wanted = list(specs)
    with typed_errors("reading the topics as they are"):
        existing = _existing(admin_client(bootstrap), list({spec.name for spec in wanted}))
    return compare(wanted, existing)


def apply(bootstrap: str, changes: Sequence[TopicChange]) -> None:
    """Carry out a plan.

    Raises TopicPlanRefused: for a step that is refused before anything is touched, else when the
    broker refuses one. Raises BrokerUnreachable.
    """
    refused = [change for change in changes if change.action is Action.REFUSE]
    if refused:
        raise TopicPlanRefused("; ".join(f"{it.spec.name} {it.detail}" for it in refused))
    admin = admin_client(bootstrap)
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
        for resource, future in admin.incremental_alter_configs(altered).items():
            with typed_errors(f"setting up topic {resource.name}"):
                future.result(_TIMEOUT_S)


def topic_ids(bootstrap: str, names: Sequence[str]) -> Mapping[str, str]:
    """The broker's id of each topic, which changes when a topic is made anew.

    Raises TopicMissing, BrokerUnreachable.
    """
    # The client must outlive its futures: they are never done once it is gone.
    admin = admin_client(bootstrap)
    ids: dict[str, str] = {}
    for name, future in admin.describe_topics(TopicCollection(list(dict.fromkeys(names)))).items():
        with typed_errors(f"looking up topic {name}"):
            ids[name] = str(future.result(_TIMEOUT_S).topic_id)
    return ids


def partition_counts(bootstrap: str) -> Mapping[str, int]:
    """How many partitions each topic has. Raises BrokerUnreachable."""
    with typed_errors("listing the topics"):
        topics = admin_client(bootstrap).list_topics(timeout=_TIMEOUT_S).topics
    return {name: len(topic.partitions) for name, topic in topics.items()}


@contextmanager
def topics_of(target: str | None) -> Iterator[None]:
    """Name the command that makes a topic which is missing inside, for an app's import path.

    None stands for what has the platform's topics alone.
    """
    try:
        yield
    except TopicMissing as error:
        apply_command = "wundr topics apply" if target is None else f"wundr topics apply {target}"
        error.remedy = f"Run `{apply_command}`."
        raise


def is_reachable(bootstrap: str, timeout_s: float = 3.0) -> bool:
    """True when a broker answers within the time."""
    try:
        _quiet_client(bootstrap).list_topics(timeout=timeout_s)
    except KafkaException:
        return False
    return True


def translated(error: KafkaError, doing: str) -> WundrError:
    """Our error for one of the admin client's; `doing` says what was attempted."""
    cause = f"{doing}: {error.str()}"
    if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
        return TopicMissing(cause)
    # The client's own codes are negative: no broker has answered.
    if error.code() < 0 or error.retriable():
        return BrokerUnreachable(cause)
    return TopicPlanRefused(cause)


@contextmanager
def typed_errors(doing: str) -> Iterator[None]:
    """Raise our errors for those of the admin client; `doing` says what is attempted."""
    try:
        yield
    except KafkaException as error:
        raise translated(error.args[0], doing) from error
    except TimeoutError as error:
        raise BrokerUnreachable(f"{doing}: no answer in {_TIMEOUT_S:.0f} s") from error


def _quiet_client(bootstrap: str) -> AdminClient:
    # librdkafka writes each lost connection to stderr; errors reach the caller as exceptions.
    return AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})


def admin_client(bootstrap: str) -> AdminClient:
    """A client of a broker that answers. Raises BrokerUnreachable."""
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
    for name, future in futures.items():
        with typed_errors(f"creating topic {name}"):
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
