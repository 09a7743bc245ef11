"""A real worker, scraped: after known events its numbers are exact."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.integration.runtime.tally import OUTAGE, POISON
from tests.integration.runtime.team import Team
from tests.integration.scraping import ready, scrape, scraped_until

pytestmark = pytest.mark.kafka

FILES, ROUNDS = 60, 3
TYPE = "analysis.file.processed"


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
    url, main = url_of(team, "one"), f"{team.name}.main"
    await team.until_exact()
    seen = await scraped_until(
        url, lambda it: it.total("wundr_lag_records") == 0, "everything is done"
    )
    assert seen.total("wundr_events_total", subscription=main, type=TYPE) == sent
    assert seen.total("wundr_events_total") == sent
    # Each event again under the keys of the two projections that have some of their own.
    assert seen.total("wundr_records_total", subscription=main) == 3 * sent
    for handler in ("look", "per-file", "per-project", "per-second"):
        handled = seen.total("wundr_handled_events_total", subscription=main, handler=handler)
        assert handled == sent, handler
    assert seen.total("wundr_dead_letters_total", subscription=main, handler="look") == 1
    assert seen.total("wundr_handler_failures_total", handler="look") == 3
    assert seen.total("wundr_handler_retries_total", handler="look") == 2
    assert seen.total("wundr_handler_failure_ratio", handler="look") == 3 / (sent + 2)
    assert seen.total("wundr_handler_seconds_count", handler="look") >= sent - 1
    assert seen.total("wundr_wait_seconds_count", subscription=main) == 3 * sent
    assert seen.total("wundr_table_entries", table="per-file") == FILES
    assert seen.total("wundr_table_entries", table="per-project") == 7
    assert seen.total("wundr_table_batch_events_sum") == 3 * sent
    assert seen.total("wundr_assigned_partitions", subscription=main) == 12
    assert seen.total("wundr_unfinished_records") == 0
    assert seen.total("wundr_lag_seconds") == 0
    assert seen.total("wundr_publish_waiting") == 0
    assert seen.total("wundr_publish_sent_total") == seen.total("wundr_publish_acknowledged_total")
    # Copies under other keys, a dead letter, and what the tables have written.
    changelogs = seen.total("wundr_changelog_records_total")
    assert seen.total("wundr_publish_sent_total") == 2 * sent + 1 + changelogs
    assert await ready(url) == (200, await _ready_page(url))
    _, live = await team.page("one", "/live")
    metrics = live["metrics"]
    assert (metrics["total_events"], metrics["events_by_type"]) == (sent, {TYPE: sent})
    assert metrics["dead_letter_queue_size"] == 1
    assert metrics["failure_rate"] > 0


async def _ready_page(url: str) -> dict[str, object]:
    _, page = await ready(url)
    assert page["ready"] is True
    assert page["reasons"] == {}
    return page


async def test_lag_is_known_in_offsets_and_in_time_while_a_handler_cannot_go_on(
    team: Team,
) -> None:
    await team.start("one")
    await team.until_live("one", "ready")
    url = url_of(team, "one")
    await team.send(4, error=OUTAGE)
    await team.until_live("one", "pause")
    # More than a lane holds: what is not fetched any more has to be asked for.
    for _ in range(3):
        await team.send(2_000)
    sent, topic = 6_004, f"events-{team.name}"
    seen = await scraped_until(
        url, lambda it: it.total("wundr_lag_records", topic=topic) == sent, "the whole lag"
    )
    assert seen.total("wundr_paused") == 1
    assert seen.total("wundr_ready") == 0
    before = seen.total("wundr_lag_seconds", topic=topic)
    await scraped_until(
        url, lambda it: it.total("wundr_lag_seconds", topic=topic) > before + 0.5, "it grows older"
    )
    status, page = await ready(url)
    assert status == 503
    assert "handler look waits" in page["reasons"]["subscription main"]
    team.healed.touch()
    await team.until_exact()
    await scraped_until(url, lambda it: it.total("wundr_lag_records") == 0, "no lag is left")
    assert (await ready(url))[0] == 200


async def test_two_workers_share_the_events_and_none_is_counted_twice(team: Team) -> None:
    await team.start("one")
    await team.start("two")
    await team.until_shared("one", "two")
    await team.send(FILES)
    await team.until_exact()
    both = await asyncio.gather(*(scrape(url_of(team, worker)) for worker in ("one", "two")))
    assert sum(it.total("wundr_events_total") for it in both) == FILES
    assert all(0 < it.total("wundr_assigned_partitions") < 12 for it in both)
