"""A real worker, scraped: after known events its numbers are exact."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.integration.runtime.tally import OUTAGE, POISON
from tests.integration.runtime.team import PARTITIONS, Team
from tests.integration.scraping import Scrape, ready, scrape, scraped_until

pytestmark = pytest.mark.kafka

FILES, ROUNDS = 60, 3
TYPE = "analysis.file.processed"
LETTERS = 4
"""Two that wait for another try, a parked one, and what ends the others."""


def url_of(team: Team, worker: str) -> str:
    """Where the pages of a worker are."""
    told = json.loads((team.folder / worker / "run.json").read_text())
    return f"http://127.0.0.1:{told['port']}"


async def test_the_numbers_of_a_worker_are_those_of_what_was_sent(team: Team) -> None:
    for _ in range(ROUNDS):
        await team.send(FILES)
    await team.send(1, error=POISON)
    sent = FILES * ROUNDS + 1
    await team.start("one")
    await team.until_live("one", "ready")
    url = url_of(team, "one")
    await team.until_exact()
    seen = await scraped_until(url, is_over, "everything is done or given up")
    assert work_of(seen, f"{team.name}.main") == {
        "events": sent,
        # Each event again under the keys of the two projections that have some of their own.
        "records": 3 * sent,
        "waited": 3 * sent,
        "folded": 3 * sent,
        "assigned": 3 * PARTITIONS,
        "unfinished": 0,
        "lag_s": 0,
    }
    for handler in ("look", "per-file", "per-project", "per-second"):
        assert seen.total("wundr_handled_events_total", handler=handler) == sent, handler
    assert failures_of(seen, "look") == (3, 2, 3 / (sent + 2), 1)
    assert seen.total("wundr_handler_seconds_count", handler="look") > 0
    assert seen.total("wundr_handler_seconds_count", handler="per-file") == sent
    assert seen.total("wundr_table_entries", table="per-file") == FILES
    assert seen.total("wundr_table_entries", table="per-project") == 7
    for state, events in (("waiting", 0), ("parked", 1), ("behind", 0)):
        assert seen.total("wundr_parked_events", state=state) == events, state
    check_published(seen, sent)
    _, live = await team.page("one", "/live")
    metrics = live["metrics"]
    assert (metrics["total_events"], metrics["events_by_type"]) == (sent, {TYPE: sent})
    assert (metrics["dead_letter_queue_size"], metrics["failure_rate"] > 0) == (1, True)
    status, page = await ready(url)
    assert (status, page["reasons"]) == (200, {})


def check_published(seen: Scrape, sent: int) -> None:
    """Copies under other keys, the letters about one event, and what the tables have written."""
    published = 2 * sent + LETTERS + seen.total("wundr_changelog_records_total")
    # The alert about the dead letter, and its schema, may be on their way.
    alert = range(3)
    assert seen.total("wundr_publish_sent_total") - published in alert
    assert seen.total("wundr_publish_acknowledged_total") - published in alert


def work_of(seen: Scrape, subscription: str) -> dict[str, float]:
    """What a subscription says of its work."""
    names = {
        "events": "wundr_events_total",
        "records": "wundr_records_total",
        "waited": "wundr_wait_seconds_count",
        "folded": "wundr_table_batch_events_sum",
        "assigned": "wundr_assigned_partitions",
        "unfinished": "wundr_unfinished_records",
        "lag_s": "wundr_lag_seconds",
    }
    return {key: seen.total(name, subscription=subscription) for key, name in names.items()}


def is_over(seen: Scrape) -> bool:
    """Whether everything is done but the one event that is given up."""
    return seen.total("wundr_lag_records") == 0 and seen.total("wundr_dead_letters_total") == 1


def parked_of(seen: Scrape) -> dict[str, float]:
    """The failed events that are kept, by their state."""
    states = ("waiting", "parked", "behind")
    return {state: seen.total("wundr_parked_events", state=state) for state in states}


def failures_of(seen: Scrape, handler: str) -> tuple[float, ...]:
    """Failures, retries, their ratio to all tries, and what was given up."""
    names = (
        "handler_failures_total",
        "handler_retries_total",
        "handler_failure_ratio",
        "dead_letters_total",
    )
    return tuple(seen.total(f"wundr_{name}", handler=handler) for name in names)


async def test_lag_is_known_in_offsets_and_in_time_while_a_handler_cannot_go_on(
    team: Team,
) -> None:
    await team.start("one")
    await team.until_live("one", "ready")
    url = url_of(team, "one")
    await team.send(40, error=OUTAGE)  # some in each partition
    await team.until_live("one", "pause")
    # More than a lane holds: what is not fetched any more has to be asked for.
    for _ in range(3):
        await team.send(2_000)
    sent, topic = 6_040, f"events-{team.name}"
    seen = await scraped_until(
        url, lambda it: it.total("wundr_lag_records", topic=topic) == sent, "the whole lag"
    )
    assert seen.total("wundr_paused") == 1
    before = seen.total("wundr_lag_seconds", topic=topic)
    await scraped_until(
        url, lambda it: it.total("wundr_lag_seconds", topic=topic) > before + 0.5, "it grows older"
    )
    status, page = await ready(url)
    assert (status, page["paused"]["main"]["waiting_for"]) == (200, "handler look")
    team.healed.touch()
    await team.until_exact()
    await scraped_until(url, lambda it: it.total("wundr_lag_records") == 0, "no lag is left")
    assert (await ready(url))[1]["paused"] == {}


async def test_two_workers_share_the_events_and_none_is_counted_twice(team: Team) -> None:
    await team.start("one")
    await team.start("two")
    await team.until_shared("one", "two")
    await team.send(FILES)
    await team.until_exact()
    both = await asyncio.gather(*(scrape(url_of(team, worker)) for worker in ("one", "two")))
    assert sum(it.total("wundr_events_total") for it in both) == FILES
    assert all(0 < it.total("wundr_assigned_partitions") < 12 for it in both)
