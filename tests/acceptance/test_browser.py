"""Real Chromium against a real gateway: the live page, the browser client, the ADR's own lines."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.integration.gateway.rig import (
    COUNTS_FOR_AN_ORDER,
    STATE_OF_AN_ORDER,
    Rig,
    settings_for_tests,
)

pytestmark = [pytest.mark.chromium, pytest.mark.asyncio(loop_scope="module")]
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PROJECT = "project.core"

ADR_CLIENT = """
class EventClient {
  handlers = new Map();
  connect(token) {
    this.socket = io('/ws', {
      auth: { token },
      transports: ['websocket']
    });

    this.socket.on('connect', () => {
      // Join relevant rooms
      this.socket.emit('join', ['system', `user.${this.userId}`]);
    });

    // Route events to handlers
    this.socket.onAny((event, data) => {
      this.handleEvent(event, data);
    });
  }

  subscribe(eventType, handler) {
    if (!this.handlers.has(eventType)) {
      this.handlers.set(eventType, new Set());
    }
    this.handlers.get(eventType).add(handler);
  }

  handleEvent(eventType, data) {
    const handlers = this.handlers.get(eventType);
    if (handlers) {
      handlers.forEach(handler => handler(data));
    }

    const wildcardHandlers = this.handlers.get('*');
    if (wildcardHandlers) {
      wildcardHandlers.forEach(handler => handler({ type: eventType, ...data }));
    }
  }
}
"""
"""The class of docs/adr/0001, section Client-Side Event Handling, without its type annotations."""


@pytest_asyncio.fixture(loop_scope="module")
async def rig() -> AsyncIterator[Rig]:
    rig = Rig(settings=settings_for_tests())
    await rig.start()
    yield rig
    await rig.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    """One Chromium with an empty profile for all tests here."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def page(chromium: Browser) -> AsyncIterator[Page]:
    """A page that shares nothing with another test's; an error on it fails the test."""
    errors: list[str] = []
    context = await chromium.new_context(viewport={"width": 1440, "height": 900})
    page = await context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    await context.close()
    assert errors == []


async def holds(page: Page, expression: str) -> None:
    """Return once the expression is true; asked from outside, the page's policy forbids eval."""
    async with asyncio.timeout(10):
        while not await page.evaluate(expression):  # noqa: ASYNC110  # a page has no event for it
            await asyncio.sleep(0.02)


def start_run(rig: Rig, *projects: str) -> None:
    data = {"runId": "run-1", "projects": list(projects), "files": 5}
    rig.broadcasts.write("system", "run", "system.run.started", data, at=datetime.now(UTC))


def start_analysis(rig: Rig, files: int) -> None:
    data = {"analysisId": "a1", "projectId": "core", "package": "asyncio", "files": files}
    rig.broadcasts.write(PROJECT, "started", "analysis.started", data, at=datetime.now(UTC))


def process_file(rig: Rig, number: int, path: str | None = None) -> None:
    data = {
        "analysisId": "a1",
        "projectId": "core",
        "path": path or f"asyncio/module_{number}.py",
        "functions": 2,
        "classes": 1,
        "lines": 100,
    }
    rig.broadcasts.write(
        PROJECT, f"file-{number}", "analysis.file.processed", data, at=datetime.now(UTC)
    )


async def open_client_page(page: Page, rig: Rig) -> None:
    """A page of the gateway's origin with Socket.IO's own client, and nothing else."""
    await page.goto(f"{rig.url}/live")
    await page.add_script_tag(url="/vendor/socket.io.min.js")


async def test_the_page_shows_the_live_feed_totals_and_progress(rig: Rig, page: Page) -> None:
    await page.goto(rig.url)
    await expect(page.locator("#state")).to_have_text("Connected")
    start_run(rig, "core")
    start_analysis(rig, files=4)
    process_file(rig, 0)
    process_file(rig, 1)
    await expect(page.locator("#files")).to_have_text("2")
    await expect(page.locator("#lines")).to_have_text("200")
    await expect(page.locator("#events")).to_have_text("4")
    await expect(page.locator("#analyses li .name")).to_have_text(["asyncio"])
    await expect(page.locator("#analyses .track")).to_have_attribute("aria-valuenow", "50")
    await expect(page.locator("#projects li .note")).to_have_text(["2 / 4 files"])
    await expect(page.locator("#types li").first).to_have_text("analysis.file.processed2")
    await expect(page.locator("#feed li").first).to_have_attribute("data-id", "file-1")
    process_file(rig, 2)
    process_file(rig, 3)
    completed = {"analysisId": "a1", "projectId": "core", "package": "asyncio", "files": 4}
    rig.broadcasts.write(PROJECT, "done", "analysis.completed", completed, at=datetime.now(UTC))
    await expect(page.locator("#analyses li")).to_have_attribute("data-complete", "true")
    await expect(page.locator("#complete")).to_have_text("1")


async def test_a_page_that_is_opened_late_shows_the_run_under_way(rig: Rig, page: Page) -> None:
    start_run(rig, "core")
    start_analysis(rig, files=4)
    process_file(rig, 0)
    await page.goto(rig.url)
    await expect(page.locator("#files")).to_have_text("1")
    await expect(page.locator("#analyses .track")).to_have_attribute("aria-valuenow", "25")


async def test_the_page_goes_on_after_the_gateway_was_restarted(rig: Rig, page: Page) -> None:
    await page.goto(rig.url)
    start_run(rig, "core")
    start_analysis(rig, files=4)
    process_file(rig, 0)
    await expect(page.locator("#files")).to_have_text("1")
    await rig.stop()
    await expect(page.locator("#state")).to_have_text("Reconnecting")
    process_file(rig, 1)
    await rig.start()
    process_file(rig, 2)
    await expect(page.locator("#files")).to_have_text("3")
    await expect(page.locator("#state")).to_have_text("Connected")
    await expect(page.locator("#events")).to_have_text("5")
    await expect(page.locator("#notice")).to_be_hidden()


async def test_the_feed_is_filtered_by_pattern(rig: Rig, page: Page) -> None:
    await page.goto(rig.url)
    start_run(rig, "core")
    process_file(rig, 0)
    await expect(page.locator("#feed li")).to_have_count(2)
    await page.locator("#filter").fill("system.*")
    await expect(page.locator("#feed li .type")).to_have_text(["system.run.started"])
    process_file(rig, 1)
    await expect(page.locator("#files")).to_have_text("2")
    await expect(page.locator("#feed li")).to_have_count(1)
    await page.locator("#filter").fill("")
    await expect(page.locator("#feed li")).to_have_count(3)


async def test_what_an_event_holds_is_shown_as_text(rig: Rig, page: Page) -> None:
    await page.goto(rig.url)
    start_run(rig, "core")
    hostile = "<img src=x onerror=\"document.title='taken'\">"
    process_file(rig, 0, hostile)
    await expect(page.locator("#feed .what").first).to_contain_text("<img src=x")
    assert await page.locator("#feed img").count() == 0
    assert "taken" not in await page.title()


async def test_the_lines_of_the_adr_work_unchanged(rig: Rig, page: Page) -> None:
    await open_client_page(page, rig)
    token = rig.token("system", "user.x", subject="x")
    await page.evaluate(f"() => {{ window.EventClient = {ADR_CLIENT.strip()} }}")
    await page.evaluate(
        """(token) => {
          window.shown = [];
          const client = new EventClient();
          client.userId = 'x';
          client.subscribe('notification.sent', (data) => shown.push(['one', data.id]));
          client.subscribe('*', (data) => shown.push(['all', data.type]));
          client.connect(token);
          return new Promise((resolve) => client.socket.on('connect', () =>
            client.socket.emit('join', [], resolve)));
        }""",
        token,
    )
    rig.broadcasts.write("system", "e1", "system.run.started")
    await holds(page, "shown.length === 1")
    rig.broadcasts.write("user.y", "e2", "notification.sent")
    rig.broadcasts.write("user.x", "e3", "notification.sent")
    await holds(page, "shown.length >= 3")
    assert await page.evaluate("shown") == [
        ["all", "system.run.started"],
        ["one", "e3"],
        ["all", "notification.sent"],
    ]


async def connect_client(page: Page, rig: Rig, token: str, rooms: list[str]) -> None:
    """Connect the product's client; what it tells is kept in `seen`."""
    await open_client_page(page, rig)
    await page.evaluate(
        """async ({ token, rooms }) => {
          const { EventClient } = await import('/client.js');
          window.seen = { all: [], analysis: [], states: [], gaps: [], refused: [] };
          window.client = new EventClient({ rooms });
          client.subscribe('*', (event) => seen.all.push(event.id));
          client.subscribe('analysis.*', (event) => seen.analysis.push(event.id));
          client.onState = (state) => seen.states.push(state);
          client.onGap = (ranges) => seen.gaps.push(...ranges);
          client.onRefused = (refusal) => seen.refused.push(refusal.code);
          client.connect(token);
        }""",
        {"token": token, "rooms": rooms},
    )


async def seen(page: Page) -> dict[str, Any]:
    return dict(await page.evaluate("seen"))


async def test_the_browser_client_subscribes_by_type_and_pattern(rig: Rig, page: Page) -> None:
    await connect_client(page, rig, rig.token("project.*"), [PROJECT])
    await holds(page, "seen.states.includes('connected')")
    process_file(rig, 0)
    rig.broadcasts.write(PROJECT, "s1", "setup.session.started")
    await holds(page, "seen.all.length === 2")
    assert (await seen(page))["analysis"] == ["file-0"]


async def test_the_browser_client_misses_and_repeats_nothing_when_connections_are_lost(
    rig: Rig, page: Page
) -> None:
    await connect_client(page, rig, rig.token("project.*"), [PROJECT])
    await holds(page, "seen.states.includes('connected')")
    for number in range(100):
        process_file(rig, number)
    await holds(page, "seen.all.length > 0")
    await page.evaluate("client.socket.io.engine.close()")
    for number in range(100, 200):
        process_file(rig, number)
    await rig.stop()
    await rig.start()
    for number in range(200, 300):
        process_file(rig, number)
    await holds(page, "seen.all.length >= 300")
    result = await seen(page)
    assert result["all"] == [f"file-{number}" for number in range(300)]
    assert result["gaps"] == []
    assert result["refused"] == []


async def test_the_browser_client_takes_a_frame_that_stands_for_many(page: Page) -> None:
    rig = Rig(settings=settings_for_tests(compress_lag_records=5))
    await rig.start()
    try:
        for number in range(50):
            is_last = number == 49
            rig.broadcasts.write(
                PROJECT,
                f"e{number}",
                "order.placed" if is_last else "order.progressed",
                {"step": number},
                headers=COUNTS_FOR_AN_ORDER if is_last else STATE_OF_AN_ORDER,
            )
        await connect_client(page, rig, rig.token("project.*"), [])
        await holds(page, "seen.states.includes('connected')")
        await page.evaluate(
            "void client.subscribe('*', (event) => (window.told ??= []).push("
            "[event.id, event.data.step, event.compressedFrom ?? 1, event.compressedFirst]))"
        )
        await page.evaluate("client.join(['project.core'], { since: 0 })")
        await holds(page, "seen.all.length === 2")
        await page.evaluate("client.socket.io.engine.close()")
        rig.broadcasts.write(PROJECT, "e50", "order.progressed", headers=STATE_OF_AN_ORDER)
        await holds(page, "seen.all.length === 3")
        assert (await seen(page))["all"] == ["e48", "e49", "e50"]
        assert await page.evaluate("told.slice(0, 2)") == [
            ["e48", 48, 49, "e0"],
            ["e49", 49, 1, None],
        ]
        assert await page.evaluate("client.deliveries") == {"distinct": 3, "repeatsDropped": 0}
    finally:
        await rig.stop()


async def test_the_browser_client_tells_refusals(rig: Rig, page: Page) -> None:
    await connect_client(page, rig, rig.token("project.core"), [PROJECT, "project.other"])
    await holds(page, "seen.refused.length === 1")
    assert (await seen(page))["refused"] == ["ROOM_FORBIDDEN"]
    await connect_client(page, rig, "nonsense", [PROJECT])
    await holds(page, "seen.states.includes('refused')")
    assert (await seen(page))["refused"] == ["BAD_TOKEN"]


async def test_the_browser_client_tells_gaps(rig: Rig, page: Page) -> None:
    await connect_client(page, rig, rig.token("project.*"), [])
    await holds(page, "seen.states.includes('connected')")
    record = rig.broadcasts.write(PROJECT, "e1")
    place = f"{record.topic}/{record.partition}"
    await page.evaluate(
        "(place) => client.join(['project.core'], "
        "{ cursor: { [place]: { epoch: 'older', offset: 7 } } })",
        place,
    )
    await holds(page, "seen.gaps.length === 1 && seen.all.length === 1")
    (gap,) = (await seen(page))["gaps"]
    assert (gap["reason"], gap["from"], gap["to"]) == ("new_epoch", 7, None)


async def test_without_development_there_is_no_page_and_no_token(page: Page) -> None:
    rig = Rig(settings=settings_for_tests(development=False))
    await rig.start()
    try:
        statuses = {}
        for path in ("/", "/page.js", "/dev/token", "/client.js"):
            answer = await page.goto(f"{rig.url}{path}")
            assert answer is not None
            statuses[path] = answer.status
        posted = await page.request.post(f"{rig.url}/dev/token")
    finally:
        await rig.stop()
    assert statuses == {"/": 404, "/page.js": 404, "/dev/token": 404, "/client.js": 200}
    assert posted.status == 404
