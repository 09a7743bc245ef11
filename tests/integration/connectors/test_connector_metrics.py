"""A real sink, relay, projection and catch-up subscription, scraped: exact after known events."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from connectors.catch_up_service import CatchUpPlan, catch_up
from connectors.outbox import SHARDS
from connectors.postgres.database import Database
from connectors.postgres.migrations import migrate
from connectors.settings import PostgresSettings
from connectors.sink_service import SinkPlan
from connectors.status_pages import catch_up_pages, projection_pages, relay_pages, sink_pages
from infra.topics import apply, plan
from schemas.event import Event
from schemas.topics import platform_topics
from streams.pages import PagesPlace, served
from streams.settings import KafkaSettings
from tests.integration.connectors.conftest import CATALOG, PARTITIONS, Archive
from tests.integration.connectors.test_outbox_relay import append
from tests.integration.connectors.test_outbox_relay import running as relaying
from tests.integration.connectors.test_store_sink import running as sinking
from tests.integration.projections.stored import PER_FILE, PER_PROJECT, POISON, Store
from tests.integration.projections.stored import files as stored_files
from tests.integration.projections.working import projector
from tests.integration.projections.working import running as projecting
from tests.integration.scraping import ready, scraped_until

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

Files = Callable[[int], list[Event[Any]]]


async def test_a_sink_counts_rows_repeats_and_what_is_no_event(
    archive: Archive, fresh_database: str, files: Files
) -> None:
    sink_plan, events = archive.plan(fresh_database), files(120)
    await migrate(sink_plan.postgres)
    await archive.put([*events, events[3], b"no event"])
    async with sinking(sink_plan) as sink, served(sink_pages(sink), PagesPlace()) as url:
        seen = await scraped_until(
            url,
            lambda it: (
                it.total("wundr_sink_stored_rows_total") == 120
                and it.total("wundr_sink_repeated_total") == 1
                and it.total("wundr_sink_dead_letters_total") == 1
            ),
            "everything is stored",
        )
        assert seen.total("wundr_sink_next_offset") == 122
        assert seen.has("wundr_sink_lag_records")
        assert seen.total("wundr_sink_lag_records") == 0
        assert seen.total("wundr_sink_batch_rows_sum") == 122
        assert seen.total("wundr_publish_acknowledged_total") == 1
        assert (await ready(url))[0] == 200


async def test_a_relay_counts_what_it_has_sent_and_names_its_shards(
    kafka_bootstrap: str, fresh_database: str
) -> None:
    specs = platform_topics(CATALOG, PARTITIONS)
    await asyncio.to_thread(lambda: apply(kafka_bootstrap, plan(kafka_bootstrap, specs)))
    await migrate(PostgresSettings(dsn=fresh_database))
    appended = await append(fresh_database, [f"a-{uuid.uuid4().hex}" for _ in range(6)], 5)
    async with (
        relaying(kafka_bootstrap, fresh_database) as relay,
        served(relay_pages(relay), PagesPlace()) as url,
    ):
        seen = await scraped_until(
            url,
            lambda it: it.total("wundr_relay_sent_total") == len(appended),
            "everything is sent",
        )
        assert seen.total("wundr_relay_shard_owned") == SHARDS
        assert seen.total("wundr_relay_shard_epoch") == SHARDS, "claimed once each"
        # Writer schemas go out, too, before the first event of each.
        assert seen.total("wundr_publish_acknowledged_total") > len(appended)
        await scraped_until(
            url, lambda it: it.total("wundr_outbox_waiting_events") == 0, "the outbox is empty"
        )
        assert (await ready(url))[0] == 200


async def test_projections_count_their_events_and_one_that_stopped_is_named(
    fresh_database: str,
) -> None:
    settings = PostgresSettings(dsn=fresh_database)
    await migrate(settings)
    async with Database(settings) as database:
        store = Store(database)
        events = stored_files(40)
        await store.put(events)
        projectors = {
            known.name: projector(store, known, owner=known.name)
            for known in (PER_PROJECT, PER_FILE)
        }
        pages = projection_pages("team", projectors)
        async with projecting(*projectors.values()), served(pages, PagesPlace()) as url:
            seen = await scraped_until(
                url,
                lambda it: it.total("wundr_projection_events_total") == 80,
                "both are folded",
            )
            assert seen.total("wundr_projection_behind_records") == 0
            assert seen.total("wundr_projection_state", state="folding") == 2
            assert (await ready(url))[0] == 200
            poison = stored_files(1, first=POISON)
            await store.put(poison)
            await scraped_until(
                url,
                lambda it: it.total("wundr_projection_state", state="stopped") == 2,
                "both have stopped",
            )
            status, page = await ready(url)
            assert status == 503
            assert f"{poison[0].id}" in page["reasons"]["projections"]


async def test_a_catch_up_subscription_is_ready_once_history_is_read(
    archive: Archive, fresh_database: str, files: Files
) -> None:
    sink_plan, events = archive.plan(fresh_database), files(50)
    await migrate(sink_plan.postgres)
    await archive.put(events)
    async with (
        sinking(sink_plan) as sink,
        Database(sink_plan.postgres) as database,
        catch_up(plan_of(archive, sink_plan), database) as subscription,
        served(catch_up_pages("search", subscription.status), PagesPlace()) as url,
        served(sink_pages(sink), PagesPlace()) as sink_url,
    ):
        await scraped_until(
            sink_url, lambda it: it.total("wundr_sink_stored_rows_total") == 50, "it is stored"
        )
        assert (await ready(url))[0] == 503
        stop = asyncio.Event()

        async def read() -> None:
            async for _ in subscription.batches({}, stop):
                pass

        reading = asyncio.create_task(read())
        seen = await scraped_until(
            url, lambda it: it.total("wundr_catch_up_live") == PARTITIONS, "history is read"
        )
        assert seen.total("wundr_catch_up_events_total", subscription="search") == 50
        assert seen.total("wundr_catch_up_next_offset") == 50
        assert (await ready(url))[0] == 200
        stop.set()
        await reading


def plan_of(archive: Archive, sink: SinkPlan) -> CatchUpPlan:
    """What the subscription reads."""
    return CatchUpPlan(
        kafka=KafkaSettings(bootstrap=archive.bootstrap, schema_wait_s=0.5),
        topic_id=sink.topic_id,
        topic=archive.settings.topic,
        partitions=range(PARTITIONS),
        catalog=CATALOG,
    )
