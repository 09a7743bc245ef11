"""Whole workers in processes of their own: killed, added, restarted; every total stays exact."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from streams.parking.letter import HANDLER, REASON, RETRY_COUNT, SUBSCRIPTION
from streams.records import OutgoingRecord
from tests.integration.runtime.tally import OUTAGE, POISON
from tests.integration.runtime.team import CODEC, Team, send_all

pytestmark = pytest.mark.kafka


async def test_totals_stay_exact_when_a_worker_joins_under_load_and_pages_know_their_owner(
    team: Team,
) -> None:
    await team.start("one")
    async with team.under_load():
        await team.until_live("one", "processed")
        await team.start("two")
        await team.until_live("two", "processed")
    await team.until_exact()
    key = next(iter(await team.table("one", "per-file")))
    status, entry = await team.page("one", f"/tables/per-file/{key}")
    assert (status, entry["key"], entry["state"]["events"]) == (200, key, team.per_file[key])
    status, refusal = await team.page("two", f"/tables/per-file/{key}")
    assert (status, refusal["code"]) == (421, "not_owner")
    assert (await team.page("one", "/tables/nonsense"))[0] == 404


async def test_a_restarted_worker_recovers_the_state_that_it_had(team: Team) -> None:
    await team.start("one")
    await team.send(100)
    await team.send(100)
    await team.until_exact()
    before = [await team.table("one", name) for name in ("per-file", "per-project")]
    assert await team.stop("one") == 0
    await team.start("one")
    await team.until_live("one", "ready")
    assert [await team.table("one", name) for name in ("per-file", "per-project")] == before


async def test_an_event_that_cannot_be_handled_becomes_a_dead_letter_and_others_go_on(
    team: Team,
) -> None:
    await team.start("one")
    await team.send(1, error=POISON)
    await team.send(20)
    await team.until_exact()
    (letter,) = await team.dead_letters()
    assert letter.header(HANDLER) == b"look"
    assert letter.header(REASON) == b"ValueError"
    assert letter.header(RETRY_COUNT) == b"3"
    assert letter.header(SUBSCRIPTION) == f"{team.name}.main".encode()
    assert CODEC.view(letter.value or b"").data.error == POISON


async def test_an_outage_pauses_the_subscription_and_makes_no_dead_letter(team: Team) -> None:
    await team.start("one")
    await team.send(4, error=OUTAGE)
    live = await team.until_live("one", "pause")
    assert live["pause"]["waiting_for"] == "handler look"
    assert live["unfinished"]
    team.healed.touch()
    await team.until_exact()
    assert await team.dead_letters() == []


async def test_bytes_that_are_no_event_become_a_dead_letter_with_their_reason(team: Team) -> None:
    junk = OutgoingRecord(topic=f"events-{team.name}", key=b"k", value=b"junk")
    await send_all(team.sender, [junk])
    await team.start("one")
    await team.send(5)
    await team.until_exact()
    (letter,) = await team.dead_letters()
    assert (letter.value, letter.header(REASON)) == (b"junk", b"schemas.not_an_event")


async def test_a_start_without_a_broker_ends_with_a_sentence_in_a_bounded_time(
    team: Team, unused_tcp_port: int
) -> None:
    team.kafka = replace(team.kafka, bootstrap=f"127.0.0.1:{unused_tcp_port}")
    await team.start("one")
    code = await asyncio.wait_for(team.workers.pop("one").wait(), 40)
    assert code == 1
    assert "BrokerUnavailable" in (team.folder / "one" / "log").read_text()
