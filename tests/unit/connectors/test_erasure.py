from datetime import UTC, datetime, timedelta

import pytest

from connectors.erasure import (
    ErasureReport,
    Means,
    changelog_places,
    protected_types,
    sealed_places,
    unprotected_types,
)
from schemas.catalog import Catalog
from tests.unit.schemas.personal_orders import ORDERED, order_catalog

FORGOTTEN = datetime(2026, 1, 2, tzinfo=UTC)
SETTLED = FORGOTTEN + timedelta(minutes=1)
SHOWN = {"rules": ["project"], "fields": ["name"], "personal": ["name"]}
TOPICS = ["retry.shop", "dlq.shop", "repartition.shop.x", "shop.main-x-changelog", "other"]


def test_each_place_that_holds_ciphertext_is_clean_when_no_process_has_the_key() -> None:
    places = {it.name: it for it in sealed_places(order_catalog(), TOPICS, FORGOTTEN, SETTLED)}
    assert (places["keys"].means, places["keys"].clean_at) == (Means.DELETED, FORGOTTEN)
    sealed = {name for name, place in places.items() if place.means is Means.SEALED}
    assert sealed == {
        *("PostgreSQL events", "PostgreSQL outbox", "store.events", "events.domain.normal"),
    }
    assert all(places[name].clean_at == SETTLED for name in sealed)


@pytest.mark.parametrize(
    ("topic", "days"), [("retry.shop", 30), ("dlq.shop", 30), ("repartition.shop.x", 7)]
)
def test_where_code_of_a_team_writes_beside_events_retention_cleans(topic: str, days: int) -> None:
    places = {it.name: it for it in sealed_places(order_catalog(), TOPICS, FORGOTTEN, SETTLED)}
    assert places[topic].means is Means.RETENTION
    assert places[topic].clean_at == SETTLED + timedelta(days=days)


def test_broadcast_topics_need_their_retention_only_where_a_schema_shows_personal_fields() -> None:
    for catalog, means, clean_at in (
        (order_catalog(), Means.NOTHING, SETTLED),
        (order_catalog(broadcast=SHOWN), Means.RETENTION, SETTLED + timedelta(days=1)),
    ):
        places = {it.name: it for it in sealed_places(catalog, [], FORGOTTEN, SETTLED)}
        assert places["broadcast.project"].means is means
        assert places["broadcast.project"].clean_at == clean_at


def test_a_changelog_or_a_type_without_protection_leaves_the_report_open() -> None:
    [place] = changelog_places(TOPICS)
    assert (place.name, place.clean_at) == ("shop.main-x-changelog", None)
    done = ErasureReport(forgotten_at=FORGOTTEN, places=[], unprotected=())
    assert done.is_complete
    left = ErasureReport(forgotten_at=FORGOTTEN, places=[place], unprotected=())
    assert not left.is_complete
    assert left.as_mapping()["places"][0]["clean_at"] is None
    assert not ErasureReport(forgotten_at=FORGOTTEN, places=[], unprotected=["a.b"]).is_complete


def test_types_are_told_apart_by_whether_their_personal_fields_are_encrypted() -> None:
    catalog = order_catalog()
    assert [known.name for known in protected_types(catalog)] == [ORDERED]
    assert unprotected_types(catalog) == ()
    assert "notification.sent" in unprotected_types(Catalog.load())
