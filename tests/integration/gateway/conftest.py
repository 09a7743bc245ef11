"""Each test gets a gateway of its own on a free port."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from tests.integration.gateway.rig import Rig, settings_for_tests
from tests.integration.gateway.sockets import Browser

StartRig = Callable[..., Awaitable[Rig]]


@pytest.fixture
async def start_rig() -> AsyncIterator[StartRig]:
    """Start a gateway with these settings; it is stopped after the test."""
    async with AsyncExitStack() as stack:

        async def start(**changes: Any) -> Rig:
            rig = Rig(settings=settings_for_tests(**changes))
            await rig.start()
            stack.push_async_callback(rig.stop)
            return rig

        yield start


@pytest.fixture
async def rig(start_rig: StartRig) -> Rig:
    """A gateway with the settings of a test."""
    return await start_rig()


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A plain HTTP client."""
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def open_browser() -> AsyncIterator[Callable[[], Browser]]:
    """Make clients that are closed after the test."""
    browsers: list[Browser] = []

    def make() -> Browser:
        browsers.append(Browser())
        return browsers[-1]

    yield make
    for browser in browsers:
        await browser.close()
