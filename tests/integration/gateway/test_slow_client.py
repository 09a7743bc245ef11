"""A client that does not read costs a position, not a queue, and does not slow the others."""

from collections.abc import Callable

import aiohttp
import orjson

from tests.integration.gateway.conftest import StartRig
from tests.integration.gateway.sockets import Browser, bare_socket, until

OpenBrowser = Callable[[], Browser]
EVENTS = 1_000
BODY = {"text": "x" * 20_000}
"""Together 20 MB: more than the buffers of a loopback connection take."""
QUEUE_PACKETS = 8


async def test_a_stalled_client_is_bounded_then_let_go_and_resumes_by_its_cursor(
    start_rig: StartRig, http: aiohttp.ClientSession, open_browser: OpenBrowser
) -> None:
    rig = await start_rig(stall_deadline_s=1.0, queue_packets=QUEUE_PACKETS)
    token = rig.token("project.a")
    reader, resumed = open_browser(), open_browser()
    await reader.connect(rig.url, {"token": token})
    cursor = (await reader.ask("join", ["project.a"]))["cursor"]

    async def health() -> dict[str, int]:
        async with http.get(f"{rig.url}/live") as answer:
            return dict(await answer.json())

    async with bare_socket(http, rig.url) as stalled:
        await stalled.send_str("40/ws," + orjson.dumps({"token": token}).decode())
        await stalled.send_str('42/ws,0["join",["project.a"]]')
        while not (await stalled.receive_str()).startswith("43/ws,0"):
            continue
        for number in range(EVENTS):
            rig.broadcasts.write("project.a", f"e{number}", data=BODY)
        await until(lambda: len(reader.ids()) == EVENTS)
        seen = await health()
        assert seen["clients"] == 2
        assert 0 < seen["queued"] <= QUEUE_PACKETS
        while (await health())["clients"] == 2:
            continue
    assert reader.ids() == [f"e{number}" for number in range(EVENTS)]
    await resumed.connect(rig.url, {"token": token, "cursor": cursor})
    await resumed.ask("join", ["project.a"])
    await until(lambda: len(resumed.ids()) == EVENTS)
    assert resumed.ids() == reader.ids()
