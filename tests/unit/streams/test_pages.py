"""What every process answers: alive, ready or why not, and its numbers."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from streams.errors import PagesNotServed
from streams.histogram import Histogram
from streams.metrics import Sample, counter, histogram
from streams.pages import Pages, PagesPlace, served

SEEN = counter("wundr_seen_total", "Seen.", "kind")
SPREAD = histogram("wundr_spread_seconds", "Spread.")


class Source:
    """Counts what it is told."""

    def __init__(self) -> None:
        self.seen = 0
        self.spread = Histogram((1.0, 2.0))

    def samples(self) -> list[Sample]:
        return [SEEN.sample(self.seen, 'a "b"\\\n'), SPREAD.sample(self.spread)]


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A client."""
    async with aiohttp.ClientSession() as session:
        yield session


async def answered(http: aiohttp.ClientSession, url: str) -> tuple[int, dict[str, Any]]:
    """Status and content."""
    async with http.get(url) as answer:
        return answer.status, await answer.json()


async def test_a_process_is_ready_when_no_check_finds_anything(http: aiohttp.ClientSession) -> None:
    pages, wrong = Pages(lambda: {"app": "team"}), {"tables": "being recovered"}
    pages.readiness.add("tables", lambda: wrong.get("tables"))
    pages.readiness.add("stall", lambda: None)
    pages.readiness.show(lambda: {"paused": {"main": "the mailer is away"}})
    async with served(pages, PagesPlace()) as url:
        status, told = await answered(http, f"{url}/ready")
        assert (status, told["ready"], told["reasons"]) == (503, False, wrong)
        wrong.clear()
        status, told = await answered(http, f"{url}/ready")
        assert (status, told["ready"], told["reasons"]) == (200, True, {})
        assert told["paused"] == {"main": "the mailer is away"}
        assert told["checks"] == ["stall", "tables"]
        assert told["pid"] == os.getpid()


async def test_parts_show_facts_of_their_own_on_live(http: aiohttp.ClientSession) -> None:
    pages = Pages(lambda: {"app": "team"})
    pages.show(lambda: {"parked": 3})
    async with served(pages, PagesPlace()) as url:
        assert await answered(http, f"{url}/live") == (200, {"app": "team", "parked": 3})


async def test_the_numbers_are_those_of_the_moment(http: aiohttp.ClientSession) -> None:
    pages, source = Pages(dict), Source()
    refreshed: list[int] = []
    text = ""

    async def refresh() -> None:
        refreshed.append(source.seen)

    pages.metrics.add(source)
    pages.metrics.before_scrape(refresh)
    async with served(pages, PagesPlace()) as url:
        for seen in (1, 2):
            source.seen = seen
            source.spread.observe(1.5)
            async with http.get(f"{url}/metrics") as answer:
                text = await answer.text()
                assert answer.content_type == "text/plain"
            assert f'wundr_seen_total{{kind="a \\"b\\"\\\\\\n"}} {seen}.0' in text
            assert 'wundr_spread_seconds_bucket{le="1.0"} 0.0' in text
            assert f'wundr_spread_seconds_bucket{{le="+Inf"}} {seen}.0' in text
            assert f"wundr_spread_seconds_sum {1.5 * seen}" in text
    assert refreshed == [1, 2]
    assert "wundr_ready 1.0" in text
    assert "process_resident_memory_bytes" in text


async def test_a_client_that_prefers_open_metrics_gets_it(http: aiohttp.ClientSession) -> None:
    pages = Pages(dict)
    pages.metrics.add(Source())
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    async with (
        served(pages, PagesPlace()) as url,
        http.get(f"{url}/metrics", headers=accept) as answer,
    ):
        assert answer.content_type == "application/openmetrics-text"
        assert (await answer.text()).endswith("# EOF\n")


async def test_a_note_tells_where_the_pages_are_while_they_are_served(tmp_path: Path) -> None:
    note = tmp_path / "pages" / "sink-1.json"
    async with served(Pages(dict), PagesPlace(note=note)) as url:
        told = json.loads(note.read_text())
        assert url == f"http://{told['host']}:{told['port']}"
        assert told["pid"] == os.getpid()
    assert not note.exists()


async def test_a_port_that_is_taken_is_named(unused_tcp_port: int) -> None:
    async with served(Pages(dict), PagesPlace(port=unused_tcp_port)):
        with pytest.raises(PagesNotServed, match=str(unused_tcp_port)):
            async with served(Pages(dict), PagesPlace(port=unused_tcp_port)):
                pass
