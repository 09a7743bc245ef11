"""Forgetting a person on real parts: before and after, rebuilt and restored."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connectors.erasure import ErasureReport, Means, Place
from connectors.postgres.database import Database
from connectors.postgres.event_appender import PostgresEventAppender
from connectors.postgres.snapshots import PostgresSnapshots
from schemas.codec import Codec
from schemas.errors import SubjectForgotten
from schemas.protection import ERASED, PROTECTED
from streams.expectation import NO_EVENTS
from streams.snapshot import Snapshot
from tests.integration.connectors.conftest import Archive
from tests.integration.connectors.shop import CATALOG, Shop, hexed, open_shop
from tests.integration.infra.wundr_command import wundr
from tests.unit.schemas.personal_orders import order, order_catalog

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

ADA, BOB = "Ada Lovelace", "Bob Oblong"


@pytest.fixture
async def shop(archive: Archive, fresh_database: str) -> AsyncIterator[Shop]:
    orders = (
        order(CATALOG, orderId="o1", name=ADA, photo=None),
        order(CATALOG, orderId="o2", buyerId="bob", name=BOB, photo=None),
    )
    async with open_shop(archive, fresh_database, *orders) as made:
        yield made


def named(report: ErasureReport, name: str) -> Place:
    [found] = [place for place in report.places if place.name == name]
    return found


async def test_a_store_holds_ciphertext_and_whoever_has_keys_reads_it(shop: Shop) -> None:
    stored = shop.text()
    assert all(form not in stored for name in (ADA, BOB) for form in hexed(name))
    assert "wundr.1." in stored
    assert await shop.names(shop.keys) == [ADA, BOB]
    assert await shop.names(None) == [PROTECTED, PROTECTED]


async def test_after_a_forget_nothing_in_the_store_says_the_name(shop: Shop) -> None:
    await shop.build()
    async with Database(shop.plan.postgres) as database:
        snapshots = PostgresSnapshots(database)
        await snapshots.save(Snapshot("Order", "o1", 1, 1, json.dumps(ADA).encode()))
        await snapshots.save(Snapshot("Basket", "b1", 1, 1, b"{}"))
    assert shop.customers() == {"ada": ADA, "bob": BOB}

    report = await shop.forget("ada")

    assert shop.customers() == {"ada": ERASED, "bob": BOB}
    assert shop.all("SELECT aggregate_type FROM snapshots") == [("Basket",)]
    assert all(form not in shop.text() for form in hexed(ADA))
    assert await shop.names(shop.keys) == [ERASED, BOB]
    assert named(report, "PostgreSQL snapshots").detail.startswith("1 removed")
    assert named(report, "PostgreSQL projection shop/customers").means is Means.REBUILT
    assert named(report, "PostgreSQL projection shop/workers").means is Means.NOTHING
    assert named(report, "store.events").means is Means.SEALED
    assert report.unprotected == ()


async def test_what_is_rebuilt_or_restored_afterwards_stays_unreadable(shop: Shop) -> None:
    await shop.forget("ada")
    await shop.restore()
    assert await shop.names(shop.keys) == [ERASED, BOB]
    await shop.build()
    assert shop.customers() == {"ada": ERASED, "bob": BOB}
    assert all(form not in shop.text() for form in hexed(ADA))


async def test_an_append_stores_ciphertext_and_gives_a_retried_command_what_can_be_read(
    shop: Shop,
) -> None:
    catalog = order_catalog(appended=True)
    codec = Codec(catalog, keys=shop.keys)
    event = order(catalog, orderId="o3", name=ADA, photo=None)
    async with Database(shop.plan.postgres) as database:
        appender = PostgresEventAppender(database, catalog, codec)
        appended = await appender.append([event], NO_EVENTS, command_id="c1")
        assert appended.events[0].payload["name"] == ADA
        assert all(form not in shop.text() for form in hexed(ADA))
        [(stored,)] = shop.all("SELECT data ->> 'name' FROM events WHERE aggregate_id = 'o3'")
        assert stored.startswith("wundr.1.")
        await shop.forget("ada")
        retried = order(catalog, orderId="o3", name=None, photo=None)
        repeat = await appender.append([retried], NO_EVENTS, command_id="c1")
        assert repeat.is_repeat
        assert repeat.events[0].payload["name"] == ERASED
        with pytest.raises(SubjectForgotten):
            await appender.append([event], NO_EVENTS, command_id="c1")


async def test_forgetting_twice_tells_of_the_first_time(shop: Shop) -> None:
    first = await shop.forget("ada")
    assert (await shop.forget("ada")).forgotten_at == first.forgotten_at


def test_the_command_needs_keys_and_names_every_place(
    working_folder: Path, kafka_bootstrap: str, shop: Shop
) -> None:
    subject = "somebody"  # No word that a digest may have in it.
    settings = {
        "WUNDR_PROVIDER": "external",
        "WUNDR_KAFKA_BOOTSTRAP": kafka_bootstrap,
        "WUNDR_POSTGRES_DSN": shop.dsn,
    }
    refused = wundr(working_folder, "store", "forget", subject, **settings)
    assert refused.returncode == 1
    assert "WUNDR_KEYS_DSN" in refused.stderr

    ended = wundr(
        working_folder,
        *("store", "forget", subject, "--settle", "0", "--json"),
        **settings,
        WUNDR_KEYS_DSN=shop.keys_dsn,
    )
    told = json.loads(ended.stdout)
    assert {place["place"] for place in told["places"]} >= {
        *("keys", "running processes", "store.events", "PostgreSQL events"),
        *("PostgreSQL snapshots", "broadcast.user"),
    }
    assert subject not in ended.stdout
    assert (ended.returncode == 0) == told["complete"]
