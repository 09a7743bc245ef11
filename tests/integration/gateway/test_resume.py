"""After any reconnect exactly what was missed, or a gap that names it."""

from collections.abc import AsyncIterator, Callable, Mapping

import pytest

from gateway.client import GatewayClient, NotConnected
from gateway.errors import AddressTaken, HistoryUnavailable
from streams.errors import BrokerUnavailable
from streams.records import TopicPartition
from tests.integration.gateway.conftest import StartRig
from tests.integration.gateway.rig import EPOCHS, MemoryReader, Rig, settings_for_tests
from tests.integration.gateway.sockets import Browser, until

OpenBrowser = Callable[[], Browser]
ROOMS = ("system", "project.a", "project.b")


@pytest.fixture
async def client() -> AsyncIterator[GatewayClient]:
    client = GatewayClient(retry_s=0.02)
    yield client
    await client.close()


async def connected(client: GatewayClient, rig: Rig) -> list[str]:
    """Connect a client to all rooms; the list fills with the ids it is given."""
    shown: list[str] = []
    client.subscribe("*", lambda event: shown.append(event["id"]))
    await client.connect(rig.url, rig.token("system", "project.*"))
    answer = await client.join(ROOMS)
    assert answer["refused"] == []
    return shown


def write(rig: Rig, start: int, stop: int) -> None:
    for number in range(start, stop):
        rig.broadcasts.write(ROOMS[number % len(ROOMS)], f"e{number}")


def in_order(shown: list[str]) -> bool:
    """Whether each room's events came in the order in which they were written."""
    numbers = [int(event_id[1:]) for event_id in shown]
    rooms = [[n for n in numbers if n % len(ROOMS) == room] for room in range(len(ROOMS))]
    return all(room == sorted(room) for room in rooms)


async def test_a_cursor_gives_exactly_what_was_missed_in_order(
    rig: Rig, open_browser: OpenBrowser
) -> None:
    first, second = open_browser(), open_browser()
    auth = {"token": rig.token("system", "project.*")}
    await first.connect(rig.url, auth)
    cursor = (await first.ask("join", list(ROOMS)))["cursor"]
    write(rig, 0, 90)
    await until(lambda: len(first.ids()) == 90)
    await first.close()
    write(rig, 90, 200)
    await second.connect(rig.url, auth | {"cursor": cursor | first.cursor()})
    await second.ask("join", list(ROOMS))
    await until(lambda: len(second.ids()) >= 110)
    assert sorted(second.ids(), key=lambda one: int(one[1:])) == [f"e{n}" for n in range(90, 200)]
    assert in_order(second.ids())
    assert second.named("gap") == []


async def test_twenty_lost_connections_lose_and_repeat_nothing(
    rig: Rig, client: GatewayClient
) -> None:
    shown = await connected(client, rig)
    for round_ in range(20):
        write(rig, round_ * 30, round_ * 30 + 30)
        await client.drop()
        await until(client.connected.is_set)
    await until(lambda: len(shown) >= 600)
    assert sorted(shown, key=lambda one: int(one[1:])) == [f"e{n}" for n in range(600)]
    assert in_order(shown)
    assert client.gaps == []
    assert client.deliveries.distinct == 600
    assert client.deliveries.connections > 1


async def test_a_gateway_that_is_stopped_and_started_again_loses_and_repeats_nothing(
    rig: Rig, client: GatewayClient
) -> None:
    shown = await connected(client, rig)
    write(rig, 0, 100)
    await until(lambda: len(shown) > 10)
    await rig.stop()
    write(rig, 100, 200)
    await rig.start()
    write(rig, 200, 300)
    await until(lambda: len(shown) >= 300)
    assert sorted(shown, key=lambda one: int(one[1:])) == [f"e{n}" for n in range(300)]
    assert in_order(shown)
    assert client.gaps == []


async def test_an_event_in_two_rooms_is_shown_once(rig: Rig, client: GatewayClient) -> None:
    shown = await connected(client, rig)
    rig.broadcasts.write("project.a", "e1")
    rig.broadcasts.write("project.b", "e1")
    rig.broadcasts.write("project.a", "e1")
    rig.broadcasts.write("project.b", "e2")
    await until(lambda: set(shown) == {"e1", "e2"} and client.deliveries.repeats_dropped == 1)
    assert sorted(shown) == ["e1", "e2"]


async def test_what_left_the_history_is_named_exactly(
    start_rig: StartRig, open_browser: OpenBrowser
) -> None:
    rig = await start_rig(history_records=10)
    first, second = open_browser(), open_browser()
    auth = {"token": rig.token("project.*")}
    await first.connect(rig.url, auth)
    cursor = (await first.ask("join", ["project.a"]))["cursor"]
    await first.ask("leave", ["project.a"])
    for number in range(25):
        rig.broadcasts.write("project.a", f"e{number}")
    await first.ask("join", ["project.a"])
    record = rig.broadcasts.write("project.a", "e25")
    await until(lambda: "e25" in first.ids())
    await second.connect(rig.url, auth | {"cursor": cursor})
    await second.ask("join", ["project.a"])
    await until(lambda: len(second.ids()) == 10)
    assert second.ids() == [f"e{number}" for number in range(16, 26)]
    assert second.named("gap") == [
        {
            "ranges": [
                {
                    "topic": "broadcast.project",
                    "partition": record.partition,
                    "from": 0,
                    "to": 16,
                    "reason": "out_of_history",
                }
            ]
        }
    ]


async def test_a_topic_that_was_made_anew_is_a_gap_and_is_read_from_its_start(
    rig: Rig, open_browser: OpenBrowser
) -> None:
    browser = open_browser()
    record = rig.broadcasts.write("project.a", "new")
    cursor = {f"broadcast.project/{record.partition}": {"epoch": "older", "offset": 900}}
    await browser.connect(rig.url, {"token": rig.token("project.*"), "cursor": cursor})
    await browser.ask("join", ["project.a"])
    await until(lambda: browser.ids() == ["new"])
    (gap,) = browser.named("gap")
    assert gap["ranges"][0] | {"partition": 0} == {
        "topic": "broadcast.project",
        "partition": 0,
        "from": 900,
        "to": None,
        "reason": "new_epoch",
    }


async def test_a_client_that_sees_nothing_still_moves_its_cursor(
    start_rig: StartRig, client: GatewayClient
) -> None:
    rig = await start_rig(bookmark_interval_s=0.05)
    await connected(client, rig)
    record = rig.broadcasts.write("project.elsewhere", "e1")
    place = f"broadcast.project/{record.partition}"
    await until(lambda: client.cursor[place]["offset"] == 1)
    assert client.deliveries.distinct == 0


async def test_a_client_without_a_cursor_gets_events_only(
    start_rig: StartRig, open_browser: OpenBrowser
) -> None:
    rig = await start_rig(bookmark_interval_s=0.02)
    plain, keeping = open_browser(), open_browser()
    await plain.connect(rig.url, {"token": rig.token("system")})
    await keeping.connect(rig.url, {"token": rig.token("system"), "cursor": None})
    for browser in (plain, keeping):
        await browser.ask("join", ["system"])
    rig.broadcasts.write("project.a", "e1")
    await until(lambda: bool(keeping.named("bookmark")))
    assert plain.received == []


async def test_the_python_client_stops_at_a_refusal_that_lasts(rig: Rig) -> None:
    client = GatewayClient()
    with pytest.raises(NotConnected, match="BAD_TOKEN"):
        await client.connect(rig.url, "nonsense")
    assert client.closed.is_set()
    await client.close()


async def test_patterns_of_the_python_client_hold_after_a_reconnect(
    rig: Rig, client: GatewayClient
) -> None:
    shown = await connected(client, rig)
    await client.only(["setup.*"])
    await client.drop()
    rig.broadcasts.write("project.a", "e1", "analysis.started")
    rig.broadcasts.write("project.a", "e2", "setup.session.started")
    await until(lambda: shown == ["e2"])


async def test_a_broker_that_goes_away_pauses_the_feed_which_goes_on_by_itself(
    client: GatewayClient,
) -> None:
    rig = Rig(settings=settings_for_tests())
    reader = MemoryReader(rig.broadcasts)
    await rig.start(reader)
    try:
        shown = await connected(client, rig)
        reader.away = True
        write(rig, 0, 10)
        await until(lambda: reader.refused > 0)
        write(rig, 10, 30)
        reader.away = False
        await until(lambda: len(shown) == 30)
    finally:
        await rig.stop()


async def test_a_gateway_whose_history_cannot_be_read_does_not_start() -> None:
    rig = Rig(settings=settings_for_tests(history_deadline_s=0.05))
    reader = _StuckReader(rig.broadcasts)
    with pytest.raises(HistoryUnavailable):
        await rig.start(reader)
    away = MemoryReader(rig.broadcasts)
    away.away = True
    rig.broadcasts.write("system", "e1")
    with pytest.raises(BrokerUnavailable):
        await rig.start(away)


async def test_a_taken_port_is_refused_with_a_remedy(rig: Rig) -> None:
    other = Rig(settings=settings_for_tests(port=rig.settings.port), epochs=EPOCHS)
    with pytest.raises(AddressTaken, match=str(rig.settings.port)) as raised:
        await other.start()
    assert "WUNDR_GATEWAY_PORT" in raised.value.remedy


class _StuckReader(MemoryReader):
    """Says that there is more than it ever gives."""

    async def end(self) -> Mapping[TopicPartition, int]:
        return dict.fromkeys(await self.partitions(), 5)
