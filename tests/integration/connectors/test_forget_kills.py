"""A forget that is killed on the way is done again, and then every place is clean."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Iterator

import psycopg
import pytest
from confluent_kafka import Producer

from connectors.erasure import ErasureReport
from connectors.postgres.database import Database
from connectors.postgres.snapshots import PostgresSnapshots
from schemas.codec import Codec
from schemas.errors import SubjectForgotten
from schemas.protection import ERASED
from streams.snapshot import Snapshot
from tests.integration.connectors.conftest import Archive
from tests.integration.connectors.forking import Ask, forks_of
from tests.integration.connectors.shop import CATALOG, Shop, hexed, open_shop
from tests.unit.schemas.personal_orders import order

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

POINTS = [
    ("forget_subject", True, "the key is gone from the table, not from freed space"),
    ("drop_snapshots_of_types", False, "nothing is cleaned yet"),
    ("drop_snapshots_of_types", True, "snapshots are removed, not from freed space"),
    ("create_version", False, "no projection is built yet"),
    ("write_rows", False, "a version is there with nothing in it"),
    ("compare_versions", True, "a version is built and not read"),
    ("drop_previous_version", False, "the new version is read, with a way back to the old one"),
    ("drop_previous_version", True, "the old version is read by nobody, and is there"),
    ("purge_old_rows", False, "the old version is removed, not from freed space"),
]


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    with forks_of("tests.integration.connectors.crashing_forget") as asking:
        yield asking


def name_of(subject: str) -> str:
    return f"Customer {subject.capitalize()} Lovelace"


async def test_what_a_killed_forget_has_left_is_cleaned_by_the_next(
    archive: Archive, fresh_database: str, ask: Ask
) -> None:
    subjects = [f"subject{number}" for number in range(len(POINTS))]
    orders = [
        order(CATALOG, orderId=f"o-{it}", buyerId=it, name=name_of(it), photo=None)
        for it in (*subjects, "bob")
    ]
    async with open_shop(archive, fresh_database, *orders) as shop:
        letters = [Codec(CATALOG, keys=shop.keys).encode(event) for event in orders]
        put_letters(archive, letters)
        await shop.build()
        for subject, (query, behind, state) in zip(subjects, POINTS, strict=True):
            await keep_snapshot(shop, subject)
            assert is_readable(shop, subject)
            asked = {
                "bootstrap": archive.bootstrap,
                "dsn": shop.dsn,
                "keys_dsn": shop.keys_dsn,
                "subject": subject,
                "die_at": query,
                "behind": behind,
            }
            assert await asyncio.to_thread(ask, asked) == -signal.SIGKILL, state
            let_leases_pass(shop)
            report = await shop.forget(subject)
            assert readable_places(shop, subject, report) == [], state
            with pytest.raises(SubjectForgotten):
                shop.keys.key_for(subject)
        assert shop.customers() == dict.fromkeys(subjects, ERASED) | {"bob": name_of("bob")}
        read = [Codec(CATALOG, keys=shop.keys).view(it) for it in archive.dead_letters() if it]
        assert {event.payload["name"] for event in read} == {ERASED, name_of("bob")}


def put_letters(archive: Archive, values: list[bytes]) -> None:
    """Events that have failed, as they stand in the dead letters."""
    producer = Producer({"bootstrap.servers": archive.bootstrap})
    for value in values:
        producer.produce(f"dlq.{archive.name}", value=value, partition=0)
    assert producer.flush(30) == 0


async def keep_snapshot(shop: Shop, subject: str) -> None:
    """The state of an aggregate that was loaded while its events could be read."""
    state = json.dumps(name_of(subject)).encode()
    async with Database(shop.plan.postgres) as database:
        await PostgresSnapshots(database).save(Snapshot("Order", f"o-{subject}", 1, 1, state))


def let_leases_pass(shop: Shop) -> None:
    """What a killed process has claimed is free in a while; that while is over."""
    with psycopg.connect(shop.dsn) as connection:
        connection.execute("UPDATE projection_versions SET leased_until = '-infinity'")


def is_readable(shop: Shop, subject: str) -> bool:
    """Whether anything in the store says the name."""
    text = shop.text()
    return any(form in text for form in hexed(name_of(subject)))


def readable_places(shop: Shop, subject: str, report: ErasureReport) -> list[str]:
    """Where something is left of a person, or nobody says from when on it is clean."""
    found = [
        place.name
        for place in report.places
        if place.clean_at is None and not place.name.endswith("-changelog")
    ]
    if is_readable(shop, subject):
        found.append("the text of the store's tables")
    versions = shop.all("SELECT version FROM projection_versions WHERE name = 'customers'")
    found += ["an older version of customers"] * (len(versions) - 1)
    with psycopg.connect(shop.keys_dsn) as keys:
        left = keys.execute("SELECT FROM subject_keys WHERE subject = %s", (subject,)).fetchall()
    return found + ["the key"] * len(left)
