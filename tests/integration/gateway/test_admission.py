"""Who is let in, and that whoever is not is really gone."""

from collections.abc import Callable

import aiohttp
import orjson
import pytest

from tests.integration.gateway.conftest import StartRig
from tests.integration.gateway.rig import Rig
from tests.integration.gateway.sockets import Browser, bare_socket, closing, until

OpenBrowser = Callable[[], Browser]


async def test_a_bad_token_is_refused_with_code_message_and_remedy(
    rig: Rig, open_browser: OpenBrowser
) -> None:
    refusal = await open_browser().refusal(rig.url, {"token": "nonsense"})
    assert refusal["code"] == "BAD_TOKEN"
    assert refusal["message"]
    assert refusal["remedy"]


@pytest.mark.parametrize(
    ("auth", "code"),
    [
        (None, "NO_TOKEN"),
        ({}, "NO_TOKEN"),
        ({"token": ["x"]}, "BAD_TOKEN"),
        ({"token": "x", "cursor": {"a": 1}}, "BAD_CURSOR"),
    ],
)
async def test_other_faults_of_auth_have_their_codes(
    rig: Rig, open_browser: OpenBrowser, auth: dict[str, object] | None, code: str
) -> None:
    assert (await open_browser().refusal(rig.url, auth))["code"] == code


async def test_an_expired_token_is_refused(rig: Rig, open_browser: OpenBrowser) -> None:
    token = rig.token("system", seconds=-1)
    refusal = await open_browser().refusal(rig.url, {"token": token})
    assert refusal["code"] == "TOKEN_EXPIRED"


async def test_a_refused_client_is_told_and_then_disconnected_and_gets_no_event(
    rig: Rig, http: aiohttp.ClientSession
) -> None:
    async with bare_socket(http, rig.url) as socket:
        await socket.send_str('40/ws,{"token":"nonsense"}')
        await socket.send_str('42/ws,["join",["system"]]')
        rig.broadcasts.write("system", "e1", "system.run.started")
        (refusal,) = await closing(socket)
        assert socket.closed
    assert refusal.startswith("44/ws,")
    assert orjson.loads(refusal.removeprefix("44/ws,"))["data"]["code"] == "BAD_TOKEN"


async def test_another_namespace_is_refused_and_disconnected(
    rig: Rig, http: aiohttp.ClientSession
) -> None:
    async with bare_socket(http, rig.url) as socket:
        await socket.send_str("40")
        (refusal,) = await closing(socket)
    assert refusal.startswith("44")


async def test_a_client_that_never_connects_to_the_namespace_is_cut_off(
    start_rig: StartRig, http: aiohttp.ClientSession
) -> None:
    rig = await start_rig(connect_deadline_s=0.05)
    async with bare_socket(http, rig.url) as socket:
        assert await closing(socket) == []


async def test_a_second_connect_on_one_transport_ends_it(
    rig: Rig, http: aiohttp.ClientSession
) -> None:
    auth = orjson.dumps({"token": rig.token("system")}).decode()
    async with bare_socket(http, rig.url) as socket:
        await socket.send_str(f"40/ws,{auth}")
        await socket.send_str(f"40/ws,{auth}")
        admitted, refused = await closing(socket)
    assert admitted.startswith("40/ws,")
    assert refused.startswith("44/ws,")


async def test_nothing_is_sent_to_a_client_that_joined_nothing(
    rig: Rig, open_browser: OpenBrowser
) -> None:
    quiet, listener = open_browser(), open_browser()
    await quiet.connect(rig.url, {"token": rig.token("system", "project.*")})
    await listener.connect(rig.url, {"token": rig.token("system")})
    await listener.ask("join", ["system"])
    rig.broadcasts.write("system", "e1", "system.run.started")
    await until(lambda: listener.ids() == ["e1"])
    assert quiet.received == []


async def test_a_session_ends_when_its_token_expires(rig: Rig, open_browser: OpenBrowser) -> None:
    browser = open_browser()
    await browser.connect(rig.url, {"token": rig.token("system", seconds=1.2)})
    await browser.ask("join", ["system"])
    await until(browser.disconnected.is_set)
    assert [refused["code"] for refused in browser.named("refused")] == ["TOKEN_EXPIRED"]
    rig.broadcasts.write("system", "e1", "system.run.started")
    assert browser.ids() == []


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Origin": "https://evil.example"}, 403, "ORIGIN_REFUSED"),
        ({"Origin": "null"}, 403, "ORIGIN_REFUSED"),
        (
            {"Origin": "https://evil.example", "X-Forwarded-Host": "evil.example"},
            403,
            "ORIGIN_REFUSED",
        ),
        ({"Origin": "http://evil.example", "Host": "evil.example"}, 421, "HOST_REFUSED"),
    ],
)
async def test_a_foreign_page_is_refused_before_the_upgrade(
    rig: Rig, http: aiohttp.ClientSession, headers: dict[str, str], status: int, code: str
) -> None:
    address = f"{rig.url}/socket.io/?EIO=4&transport=websocket"
    with pytest.raises(aiohttp.WSServerHandshakeError) as raised:
        await http.ws_connect(address, headers=headers)
    assert raised.value.status == status
    async with http.get(f"{rig.url}/live", headers=headers) as answer:
        assert (await answer.json())["code"] == code


async def test_long_polling_is_not_offered(rig: Rig, http: aiohttp.ClientSession) -> None:
    async with http.get(f"{rig.url}/socket.io/?EIO=4&transport=polling") as answer:
        assert answer.status == 400


async def test_connections_are_bounded(start_rig: StartRig, http: aiohttp.ClientSession) -> None:
    rig = await start_rig(max_connections_per_address=2)
    address = f"{rig.url}/socket.io/?EIO=4&transport=websocket"
    async with bare_socket(http, rig.url), bare_socket(http, rig.url):
        with pytest.raises(aiohttp.WSServerHandshakeError) as raised:
            await http.ws_connect(address)
    assert raised.value.status == 503


@pytest.mark.parametrize(
    "frame",
    ['459999999999-/ws,["x"]', "42/ws,[broken", b"\x00\x01", "42/ws," + "[" * 30_000, "7", ""],
)
async def test_a_frame_that_is_not_of_the_protocol_ends_the_connection(
    rig: Rig, http: aiohttp.ClientSession, frame: str | bytes
) -> None:
    async with bare_socket(http, rig.url) as socket:
        await (socket.send_bytes(frame) if isinstance(frame, bytes) else socket.send_str(frame))
        assert await closing(socket) == []
        assert socket.close_code == aiohttp.WSCloseCode.POLICY_VIOLATION


async def test_an_oversized_frame_ends_the_connection(
    start_rig: StartRig, http: aiohttp.ClientSession
) -> None:
    rig = await start_rig(max_message_bytes=1_024)
    async with bare_socket(http, rig.url) as socket:
        await socket.send_str('40/ws,{"token":"' + "x" * 2_000 + '"}')
        assert await closing(socket) == []
        assert socket.close_code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG


async def test_a_client_that_floods_is_cut_off(
    start_rig: StartRig, http: aiohttp.ClientSession
) -> None:
    rig = await start_rig(messages_per_second=5.0)
    auth = orjson.dumps({"token": rig.token("system")}).decode()
    async with bare_socket(http, rig.url) as socket:
        await socket.send_str(f"40/ws,{auth}")
        for _ in range(30):
            await socket.send_str('42/ws,["leave",["system"]]')
        await closing(socket)
        assert socket.close_code == aiohttp.WSCloseCode.POLICY_VIOLATION


async def test_compression_is_not_negotiated(rig: Rig, http: aiohttp.ClientSession) -> None:
    async with bare_socket(http, rig.url, compress=15) as socket:
        assert not socket.compress


async def test_connections_that_end_are_forgotten(
    rig: Rig, http: aiohttp.ClientSession, open_browser: OpenBrowser
) -> None:
    async def clients() -> int:
        async with http.get(f"{rig.url}/live") as answer:
            return int((await answer.json())["clients"])

    browser = open_browser()
    await browser.connect(rig.url, {"token": rig.token("system")})
    assert await clients() == 1
    await browser.close()
    while await clients():
        continue
