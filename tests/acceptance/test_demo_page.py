"""The live page in Chromium while the demonstration runs: real events, from the real stream."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright, expect

from infra.stack.ports import answers, any_free_port
from tests.acceptance.demo_rig import BROKEN, assert_whole, demo
from tests.acceptance.test_browser import ARGUMENTS, CHROMIUM
from tests.integration.infra.wundr_command import wait_until

pytestmark = [
    pytest.mark.chromium,
    pytest.mark.kafka,
    pytest.mark.postgres,
    pytest.mark.slow,
    pytest.mark.timeout(60),
]

PATIENCE_MS = 40_000


async def test_the_page_shows_feed_and_progress_of_the_real_run(
    working_folder: Path, source: Path
) -> None:
    port = any_free_port()
    with demo(working_folder, source, WUNDR_GATEWAY_PORT=str(port)) as running:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            page = await browser.new_page(viewport={"width": 1440, "height": 900})
            await asyncio.to_thread(wait_until, lambda: answers(port), "the gateway")
            await page.goto(f"http://127.0.0.1:{port}")
            await expect(page.locator("#state")).to_have_text("Connected", timeout=PATIENCE_MS)
            await expect(page.locator("#feed li").first).to_be_visible(timeout=PATIENCE_MS)
            summary = await asyncio.to_thread(running.summary)
            await shows_the_whole_run(page, summary["files"])
            await browser.close()
    assert_whole(summary)


async def shows_the_whole_run(page: Page, files: int) -> None:
    await expect(page.locator("#files")).to_have_text(f"{files:,}", timeout=PATIENCE_MS)
    await expect(page.locator("#failed")).to_have_text("2 with errors")
    await expect(page.locator("#run")).to_contain_text("completed")
    await expect(page.locator("#running")).to_have_text("0 running")
    await expect(page.locator("#projects li")).to_have_count(3)
    await expect(page.locator("#analyses")).to_contain_text(BROKEN.removesuffix(".py"))
    await expect(page.locator("#types")).to_contain_text("analysis.file.processed")
