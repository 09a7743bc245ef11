"""The gateway over a real broker: the same promises as over the broadcasts in memory."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from gateway.client import GatewayClient
from infra.topics import apply, plan, topic_ids
from schemas.headers import AGGREGATE, COMPRESSIBLE
from schemas.topics import TopicSpec
from streams.kafka.reader import KafkaReader
from streams.kafka.sender import KafkaSender
from streams.records import OutgoingRecord
from streams.settings import KafkaSettings
from tests.integration.gateway.rig import Rig, settings_for_tests
from tests.integration.gateway.sockets import until

pytestmark = pytest.mark.kafka
ROOMS = ("project.a", "project.b", "project.c")


@pytest.fixture
def topic(kafka_bootstrap: str) -> str:
    """A broadcast topic of this test's own."""
    name = f"broadcast.test-{uuid.uuid4().hex}"
    spec = TopicSpec(name=name, partitions=4, config={}, why="a test")
    apply(kafka_bootstrap, plan(kafka_bootstrap, [spec]))
    return name


@pytest.fixture
async def sender(kafka_bootstrap: str) -> AsyncIterator[KafkaSender]:
    sender = KafkaSender(KafkaSettings(bootstrap=kafka_bootstrap))
    yield sender
    await sender.close()


async def write(sender: KafkaSender, topic: str, start: int, stop: int) -> None:
    for number in range(start, stop):
        body = {"id": f"e{number}", "type": "analysis.file.processed", "data": {}, "timestamp": ""}
        room = ROOMS[number % len(ROOMS)].encode()
        await sender.send(OutgoingRecord(topic=topic, key=room, value=orjson.dumps(body)))
    await sender.flush()


async def test_broadcasts_of_a_real_broker_survive_a_restart_of_the_gateway(
    kafka_bootstrap: str, topic: str, sender: KafkaSender
) -> None:
    kafka = KafkaSettings(bootstrap=kafka_bootstrap)
    rig = Rig(settings=settings_for_tests(), epochs=topic_ids(kafka_bootstrap, [topic]))
    client = GatewayClient(retry_s=0.02)
    shown: list[str] = []
    client.subscribe("*", lambda event: shown.append(event["id"]))
    await rig.start(KafkaReader(kafka, [topic]))
    await client.connect(rig.url, rig.token("project.*"))
    await client.join(ROOMS)
    await write(sender, topic, 0, 300)
    await until(lambda: len(shown) == 300)
    await rig.stop()
    await write(sender, topic, 300, 600)
    await rig.start(KafkaReader(kafka, [topic]))
    await write(sender, topic, 600, 900)
    await until(lambda: len(shown) >= 900)
    await client.close()
    await rig.stop()
    assert sorted(shown, key=lambda one: int(one[1:])) == [f"e{number}" for number in range(900)]
    for room in range(len(ROOMS)):
        numbers = [int(one[1:]) for one in shown if int(one[1:]) % len(ROOMS) == room]
        assert numbers == sorted(numbers)
    assert client.gaps == []


async def test_a_client_behind_a_real_broker_is_shown_the_last_of_a_run(
    kafka_bootstrap: str, topic: str, sender: KafkaSender
) -> None:
    headers = ((AGGREGATE, b"Order/1"), (COMPRESSIBLE, b"1"))
    for number in range(300):
        body = {"id": f"e{number}", "type": "order.progressed", "data": {"step": number}}
        value = orjson.dumps(body | {"timestamp": ""})
        await sender.send(
            OutgoingRecord(topic=topic, key=b"project.a", value=value, headers=headers)
        )
    await sender.flush()
    rig = Rig(
        settings=settings_for_tests(compress_lag_records=100),
        epochs=topic_ids(kafka_bootstrap, [topic]),
    )
    await rig.start(KafkaReader(KafkaSettings(bootstrap=kafka_bootstrap), [topic]))
    client = GatewayClient()
    events: list[dict[str, Any]] = []
    client.subscribe("*", events.append)
    await client.connect(rig.url, rig.token("project.*"))
    from_the_start = {
        f"{topic}/{partition}": {"epoch": rig.epochs[topic], "offset": 0} for partition in range(4)
    }
    await client.join(["project.a"], from_the_start)
    await until(lambda: bool(events))
    await client.close()
    await rig.stop()
    assert [(event["id"], event["compressedFrom"]) for event in events] == [("e299", 300)]
