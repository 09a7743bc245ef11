from schemas.catalog import Catalog
from schemas.codec import LARGEST_EVENT
from schemas.envelope import Category, Priority
from schemas.topics import (
    LARGEST_COPY,
    LARGEST_RECORD,
    all_events_topics,
    changelog_topic,
    dead_letter_topic,
    events_topic,
    platform_topics,
    repartition_topic,
    retry_topic,
)

DAY_MS = 24 * 60 * 60 * 1000


def test_an_events_topic_is_named_by_category_and_priority() -> None:
    assert events_topic(Category.DOMAIN, Priority.CRITICAL) == "events.domain.critical"
    assert events_topic(Category.UI, Priority.LOW) == "events.ui.low"


def test_there_are_as_many_events_topics_as_categories_times_priorities() -> None:
    assert len(set(all_events_topics())) == 20


def test_the_topics_of_an_app_carry_its_name() -> None:
    assert dead_letter_topic("analysis") == "dlq.analysis"
    assert retry_topic("analysis") == "retry.analysis"
    assert repartition_topic("analysis", "totals") == "repartition.analysis.totals"
    assert changelog_topic("analysis", "main", "totals") == "analysis.main-totals-changelog"


def test_the_platform_keeps_each_topic_as_long_as_it_is_needed() -> None:
    specs = {spec.name: spec for spec in platform_topics(Catalog.load(), 4)}
    kept = {
        name: spec.config.get("retention.ms")
        for name, spec in specs.items()
        if spec.config["cleanup.policy"] == "delete"
    }
    assert kept["events.domain.low"] == str(7 * DAY_MS)
    assert kept["broadcast.project"] == str(DAY_MS)
    compacted = {name for name in specs if name not in kept}
    failures = {"retry.wundr", "dlq.wundr"}
    assert compacted == {"store.events", "wundr.schemas", "wundr.control"} | failures


def test_every_topic_that_is_keyed_by_aggregate_or_event_has_one_partition_count() -> None:
    specs = platform_topics(Catalog.load(), 7)
    odd = {spec.name for spec in specs if spec.partitions != 7}
    assert odd == {"wundr.schemas", "wundr.control"}


def test_the_plan_says_which_types_stand_in_a_topic() -> None:
    why = {spec.name: spec.why for spec in platform_topics(Catalog.load(), 4)}
    assert why["events.domain.low"] == "analysis.file.processed"


def test_topics_of_copies_take_more_than_anybody_can_write_into_topics_of_events() -> None:
    specs = platform_topics(Catalog.load(), 4)
    larger = {spec.name for spec in specs if "max.message.bytes" in spec.config}
    assert larger == {"store.events", "retry.wundr", "dlq.wundr"}
    assert LARGEST_EVENT < LARGEST_RECORD < LARGEST_COPY
