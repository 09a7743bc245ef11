"""Reading the pages of a process as Prometheus does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

Scraped = Mapping[str, Mapping[tuple[tuple[str, str], ...], float]]


class Scrape:
    """The numbers of one scrape."""

    def __init__(self, text: str) -> None:
        self._values: dict[str, list[tuple[dict[str, str], float]]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                self._values.setdefault(sample.name, []).append((sample.labels, sample.value))

    def total(self, name: str, **labels: str) -> float:
        """The sum of the series that have these labels; 0 where there is none."""
        return sum(
            value for given, value in self._values.get(name, ()) if labels.items() <= given.items()
        )

    def has(self, name: str) -> bool:
        """Whether the metric is given at all."""
        return name in self._values


async def scrape(url: str) -> Scrape:
    """The page `/metrics` of the process that answers at `url`."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as answer:
        assert answer.status == 200
        return Scrape(await answer.text())


async def ready(url: str) -> tuple[int, dict[str, Any]]:
    """Status and content of `/ready`."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/ready") as answer:
        return answer.status, await answer.json()


async def scraped_until(
    url: str, condition: Callable[[Scrape], bool], what: str, within_s: float = 40
) -> Scrape:
    """Scrape until a condition holds; fails by name when it does not in time."""
    try:
        async with asyncio.timeout(within_s):
            while True:
                found = await scrape(url)
                if condition(found):
                    return found
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"not in {within_s} s: {what}") from None
