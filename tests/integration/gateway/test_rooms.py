"""Rooms, patterns, and catching up over real sockets."""

from collections.abc import Callable
from datetime import timedelta

from tests.integration.gateway.conftest import StartRig
from tests.integration.gateway.rig import START, Rig
from tests.integration.gateway.sockets import Browser, until

OpenBrowser = Callable[[], Browser]


async def test_the_event_is_named_by_its_type_and_has_body_and_position(
    rig: Rig, open_browser: OpenBrowser
) -> None:
    browser = open_browser()
    await browser.connect(rig.url, {"token": rig.token("project.*")})
    await browser.ask("join", ["project.a"])
    record = rig.broadcasts.write("project.a", "e1", "analysis.started", {"files": 3})
    await until(lambda: bool(browser.received))
    (name, body) = browser.received[0]
    assert name == "analysis.started"
    assert body == {
        "id": "e1",
        "type": "analysis.started",
        "data": {"files": 3},
        "timestamp": "2026-11-23T12:00:00.000Z",
        "position": {
            "epoch": "epoch-of-broadcast.project",
            "topic": "broadcast.project",
            "partition": record.partition,
            "offset": 0,
            "time": record.timestamp_ms,
        },
    }


async def test_rooms_without_a_right_are_refused_and_the_others_joined(
    rig: Rig, open_browser: OpenBrowser
) -> None:
    browser = open_browser()
    await browser.connect(rig.url, {"token": rig.token("system", "project.a")})
    answer = await browser.ask("join", ["project.a", "project.b", "user.alice", "nonsense"])
    assert answer["joined"] == ["project.a"]
    assert {refused["room"]: refused["code"] for refused in answer["refused"]} == {
        "project.b": "ROOM_FORBIDDEN",
        "user.alice": "ROOM_FORBIDDEN",
        "nonsense": "ROOM_UNKNOWN",
    }
    assert set(answer["cursor"]) == {str(source) for source in rig.broadcasts.records}
    rig.broadcasts.write("project.b", "b1")
    rig.broadcasts.write("project.a", "a1")
    await until(lambda: browser.ids() == ["a1"])


async def test_a_left_room_is_silent(rig: Rig, open_browser: OpenBrowser) -> None:
    browser = open_browser()
    await browser.connect(rig.url, {"token": rig.token("project.*")})
    await browser.ask("join", ["project.a", "project.b"])
    assert await browser.ask("leave", ["project.a"]) == {"rooms": ["project.b"]}
    rig.broadcasts.write("project.a", "a1")
    rig.broadcasts.write("project.b", "b1")
    await until(lambda: browser.ids() == ["b1"])


async def test_only_subscribed_patterns_are_sent(rig: Rig, open_browser: OpenBrowser) -> None:
    browser = open_browser()
    await browser.connect(rig.url, {"token": rig.token("project.*")})
    await browser.ask("join", ["project.a"])
    assert await browser.ask("subscribe", ["setup.*"]) == {"patterns": ["setup.*"]}
    rig.broadcasts.write("project.a", "a1", "analysis.started")
    rig.broadcasts.write("project.a", "s1", "setup.session.started")
    await until(lambda: browser.ids() == ["s1"])
    assert await browser.ask("unsubscribe", ["setup.*"]) == {"patterns": []}
    assert (await browser.ask("subscribe", ["a*b"]))["error"]["code"] == "BAD_PATTERN"


async def test_wrong_messages_are_answered_with_a_code_and_the_session_goes_on(
    rig: Rig, open_browser: OpenBrowser
) -> None:
    browser = open_browser()
    await browser.connect(rig.url, {"token": rig.token("system")})
    assert (await browser.ask("join", 7))["error"]["code"] == "BAD_REQUEST"
    assert (await browser.ask("join"))["error"]["code"] == "BAD_REQUEST"
    assert (await browser.ask("join", ["a"], ["b"]))["error"]["code"] == "BAD_REQUEST"
    assert (await browser.ask("dance", "x"))["error"]["code"] == "BAD_REQUEST"
    bad = {"rooms": ["system"], "cursor": {"x": 1}}
    assert (await browser.ask("join", bad))["error"]["code"] == "BAD_CURSOR"
    assert (await browser.ask("join", ["system"]))["joined"] == ["system"]


async def test_a_room_joined_later_is_caught_up_from_a_cursor_without_repeats(
    rig: Rig, open_browser: OpenBrowser
) -> None:
    browser = open_browser()
    await browser.connect(rig.url, {"token": rig.token("system", "project.*")})
    cursor = (await browser.ask("join", ["project.a"]))["cursor"]
    for number in range(50):
        rig.broadcasts.write("project.a", f"a{number}")
        rig.broadcasts.write("project.b", f"b{number}")
    await until(lambda: len(browser.ids()) == 50)
    await browser.ask("join", {"rooms": ["project.b"], "cursor": cursor})
    rig.broadcasts.write("project.b", "b50")
    await until(lambda: len(browser.ids()) == 101)
    assert browser.ids()[50:] == [f"b{number}" for number in range(51)]


async def test_a_page_that_is_opened_late_begins_at_a_time(
    rig: Rig, open_browser: OpenBrowser
) -> None:
    for number in range(10):
        rig.broadcasts.write("project.a", f"a{number}", at=START + timedelta(seconds=number))
    browser = open_browser()
    await browser.connect(rig.url, {"token": rig.token("project.*")})
    since = (START + timedelta(seconds=7)).timestamp() * 1000
    await until_held(browser, rig, since)
    assert browser.ids() == ["a7", "a8", "a9"]


async def until_held(browser: Browser, rig: Rig, since: float) -> None:
    """Join from a time once the gateway has read what was written."""
    while not browser.ids():
        await browser.ask("leave", ["project.a"])
        await browser.ask("join", {"rooms": ["project.a"], "since": since})
        await browser.ask("subscribe", ["*"])
    await until(lambda: browser.ids()[-1] == f"a{rig.broadcasts.total() - 1}")


async def test_rooms_and_patterns_of_one_client_are_bounded(
    start_rig: StartRig, open_browser: OpenBrowser
) -> None:
    rig = await start_rig(max_rooms=2, max_patterns=2)
    browser = open_browser()
    await browser.connect(rig.url, {"token": rig.token("project.*")})
    answer = await browser.ask("join", ["project.a", "project.b", "project.c"])
    assert [refused["code"] for refused in answer["refused"]] == ["TOO_MANY_ROOMS"]
    answer = await browser.ask("subscribe", ["a.*", "b.*", "c.*"])
    assert answer["error"]["code"] == "BAD_PATTERN"


async def test_a_record_that_is_no_broadcast_is_passed_over(
    rig: Rig, open_browser: OpenBrowser
) -> None:
    browser = open_browser()
    await browser.connect(rig.url, {"token": rig.token("project.*")})
    await browser.ask("join", ["project.a"])
    rig.broadcasts.write_raw(b"project.a", b"\x00not json")
    rig.broadcasts.write("project.a", "a1")
    await until(lambda: browser.ids() == ["a1"])
