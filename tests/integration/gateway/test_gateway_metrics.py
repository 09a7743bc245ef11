"""A real gateway node, scraped on the port for operators: exact after known broadcasts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import aiohttp
import pytest

from streams.pages import PagesPlace, served
from tests.integration.gateway.conftest import StartRig
from tests.integration.gateway.rig import MemoryReader, Rig, settings_for_tests
from tests.integration.gateway.sockets import Browser, bare_socket, until
from tests.integration.scraping import ready, scrape, scraped_until

OpenBrowser = Callable[[], Browser]


@pytest.fixture
async def operators(rig: Rig) -> AsyncIterator[str]:
    """Where the numbers of the node are."""
    assert rig.pages is not None
    async with served(rig.pages, PagesPlace()) as url:
        yield url


async def test_clients_rooms_and_frames_are_counted(
    rig: Rig, operators: str, open_browser: OpenBrowser
) -> None:
    browsers = [open_browser() for _ in range(3)]
    for number, browser in enumerate(browsers):
        await browser.connect(rig.url, {"token": rig.token("project.*", subject=f"u{number}")})
        await browser.ask("join", ["project.a", f"project.{number}"])
    for number in range(20):
        rig.broadcasts.write("project.a", f"e{number}", at=datetime.now(UTC))
    rig.broadcasts.write("project.1", "mine", at=datetime.now(UTC))
    rig.broadcasts.write_raw(b"project.a", b"no broadcast")
    await until(lambda: sum(len(browser.ids()) for browser in browsers) == 61)
    seen = await scraped_until(
        operators, lambda it: it.total("wundr_gateway_unreadable_total") == 1, "the bad record"
    )
    assert seen.total("wundr_gateway_clients") == 3
    assert seen.total("wundr_gateway_rooms") == 4
    assert seen.total("wundr_gateway_frames_total") == 61
    assert seen.total("wundr_gateway_emit_seconds_count") == 61
    assert seen.total("wundr_gateway_emit_seconds_sum") < 61 * 5
    assert seen.total("wundr_gateway_held_broadcasts") == 21
    assert seen.total("wundr_gateway_slow_clients") == 0
    assert (await ready(operators))[0] == 200


async def test_what_a_client_catches_up_on_is_no_delay(
    rig: Rig, operators: str, open_browser: OpenBrowser
) -> None:
    browser = open_browser()
    await browser.connect(rig.url, {"token": rig.token("project.a")})
    cursor = (await browser.ask("join", ["project.a"]))["cursor"]
    await browser.close()
    for number in range(5):
        rig.broadcasts.write("project.a", f"e{number}")
    again = open_browser()
    await again.connect(rig.url, {"token": rig.token("project.a"), "cursor": cursor})
    await again.ask("join", ["project.a"])
    await until(lambda: len(again.ids()) == 5)
    seen = await scrape(operators)
    assert seen.total("wundr_gateway_frames_total") == 5
    assert seen.total("wundr_gateway_emit_seconds_count") == 0


async def test_refusals_are_counted_by_their_code(
    rig: Rig, operators: str, http: aiohttp.ClientSession, open_browser: OpenBrowser
) -> None:
    refused = await open_browser().refusal(rig.url, {"token": "nonsense"})
    browser = open_browser()
    await browser.connect(rig.url, {"token": rig.token("project.a")})
    (room,) = (await browser.ask("join", ["project.b"]))["refused"]
    async with http.get(f"{rig.url}/live", headers={"Origin": "https://evil.example"}) as answer:
        foreign = await answer.json()
    seen = await scrape(operators)
    for code in (refused["code"], room["code"], foreign["code"]):
        assert seen.total("wundr_gateway_refusals_total", code=code) == 1, code
    assert seen.total("wundr_gateway_refusals_total") == 3


async def test_numbers_are_not_shown_where_browsers_connect(
    rig: Rig, http: aiohttp.ClientSession
) -> None:
    async with http.get(f"{rig.url}/metrics") as answer:
        assert answer.status == 404
    async with http.get(f"{rig.url}/ready") as answer:
        assert (answer.status, await answer.json()) == (200, {"ready": True})


async def test_a_node_whose_broker_is_away_is_not_ready(http: aiohttp.ClientSession) -> None:
    rig = Rig(settings=settings_for_tests())
    reader = MemoryReader(rig.broadcasts)
    await rig.start(reader)
    try:
        assert rig.pages is not None
        async with served(rig.pages, PagesPlace()) as url:
            reader.away = True
            rig.broadcasts.write("system", "e")
            await scraped_until(url, lambda it: it.total("wundr_ready") == 0, "the broker is away")
            status, page = await ready(url)
            assert status == 503
            assert page["reasons"] == {"broadcasts": "reading pauses: streams.broker_unavailable"}
            reader.away = False
            await scraped_until(url, lambda it: it.total("wundr_ready") == 1, "it is back")
    finally:
        await rig.stop()


async def test_a_client_that_is_let_go_for_not_reading_is_counted(
    start_rig: StartRig, http: aiohttp.ClientSession
) -> None:
    rig = await start_rig(stall_deadline_s=0.3, queue_packets=4)
    assert rig.pages is not None
    token = rig.token("project.a")
    async with served(rig.pages, PagesPlace()) as url, bare_socket(http, rig.url) as stalled:
        await stalled.send_str('40/ws,{"token":"' + token + '"}')
        await stalled.send_str('42/ws,0["join",["project.a"]]')
        while not (await stalled.receive_str()).startswith("43/ws,0"):
            continue
        for number in range(1_000):
            rig.broadcasts.write("project.a", f"e{number}", data={"text": "x" * 20_000})
        await scraped_until(
            url, lambda it: it.total("wundr_gateway_slow_clients") == 1, "it does not read"
        )
        await scraped_until(
            url, lambda it: it.total("wundr_gateway_stalled_clients_total") == 1, "it is let go"
        )
