"""A client that lags behind a bound is sent the last of each run; its cursor covers the rest."""

from collections.abc import Callable
from typing import Any

from gateway.client import GatewayClient
from tests.integration.gateway.conftest import StartRig
from tests.integration.gateway.rig import COUNTS_FOR_AN_ORDER, STATE_OF_AN_ORDER, Rig
from tests.integration.gateway.sockets import Browser, until

ROOM = "project.a"
STATE, COUNTS = "order.progressed", "order.placed"
OpenBrowser = Callable[[], Browser]


def write(rig: Rig, start: int, stop: int) -> None:
    """Progress of one order; every tenth event counts."""
    for number in range(start, stop):
        if number % 10 == 9:
            rig.broadcasts.write(ROOM, f"e{number}", COUNTS, headers=COUNTS_FOR_AN_ORDER)
        else:
            data = {"step": number}
            rig.broadcasts.write(ROOM, f"e{number}", STATE, data, headers=STATE_OF_AN_ORDER)


def shown(events: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(event["id"], event.get("compressedFrom", 1)) for event in events]


async def caught_up(events: list[dict[str, Any]], number: int) -> None:
    await until(lambda: bool(events) and events[-1]["id"] == f"e{number}")


async def test_runs_are_merged_while_a_client_lags_and_not_once_it_has_caught_up(
    start_rig: StartRig, open_browser: OpenBrowser
) -> None:
    rig, browser = await start_rig(compress_lag_records=20, queue_packets=4), open_browser()
    write(rig, 0, 100)
    await browser.connect(rig.url, {"token": rig.token("project.*")})
    await browser.ask("join", {"rooms": [ROOM], "since": 0})
    await until(lambda: "e99" in browser.ids())
    write(rig, 100, 110)
    await until(lambda: "e109" in browser.ids())
    events = [body for name, body in browser.received if "." in name]
    merged = [one for ten in range(0, 70, 10) for one in ((f"e{ten + 8}", 9), (f"e{ten + 9}", 1))]
    assert shown(events)[: len(merged)] == merged
    assert shown(events)[-10:] == [(f"e{number}", 1) for number in range(100, 110)]
    assert events[0]["data"] == {"step": 8}
    assert events[0]["compressedFirst"] == "e0"


async def test_a_client_that_resumes_gets_nothing_twice_and_misses_only_what_was_merged(
    start_rig: StartRig,
) -> None:
    rig = await start_rig(compress_lag_records=5, queue_packets=2)
    client = GatewayClient(retry_s=0.02)
    events: list[dict[str, Any]] = []
    client.subscribe("*", events.append)
    await client.connect(rig.url, rig.token("project.*"))
    await client.join([ROOM])
    for start in range(0, 400, 100):
        await client.drop()
        write(rig, start, start + 100)
        await caught_up(events, start + 99)
    assert client.gaps == []
    assert client.deliveries.repeats_dropped == 0
    await client.close()
    numbers = [int(event["id"][1:]) for event in events]
    assert numbers == sorted(set(numbers))
    assert {number for number in range(400) if number % 10 == 9} <= set(numbers)
    last_of_runs = {number for number in range(400) if number % 10 == 8}
    assert last_of_runs <= set(numbers)
    assert sum(event.get("compressedFrom", 1) for event in events) == 400
    assert len(events) < 400
