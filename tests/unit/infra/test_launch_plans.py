"""What would be started is data: broker files and commands, containers, the compose file."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.stack.docker import (
    KAFKA_IMAGE,
    POSTGRES_IMAGE,
    ContainerPlan,
    kafka_container,
    postgres_container,
)
from infra.stack.jars import Jar, JarLock, cache_dir, load_jar_lock, missing_jars
from infra.stack.kafka import (
    KafkaPlan,
    broker_command,
    format_command,
    render_properties,
    server_properties,
)

COMPOSE = Path(__file__).resolve().parents[3] / "infra" / "compose.yaml"
PLAN = KafkaPlan(
    java=Path("/jdk/bin/java"),
    class_path=(Path("/jars/a.jar"), Path("/jars/b.jar")),
    home=Path("/state/kafka"),
    port=9092,
    controller_port=9093,
)
CONTAINERS = (kafka_container("x", 29092, 4), postgres_container("x", 25432, "hidden-word"))


def test_the_broker_listens_on_loopback_only() -> None:
    listeners = server_properties(PLAN)["listeners"].split(",")
    assert {listener.split("://")[1].split(":")[0] for listener in listeners} == {"127.0.0.1"}


def test_the_broker_makes_no_topic_by_accident_and_lets_no_group_wait() -> None:
    properties = server_properties(PLAN)
    assert properties["auto.create.topics.enable"] == "false"
    assert properties["group.initial.rebalance.delay.ms"] == "0"


def test_one_broker_suffices_for_every_internal_topic() -> None:
    properties = server_properties(PLAN)
    counts = [value for key, value in properties.items() if key.endswith((".factor", ".isr"))]
    assert counts
    assert set(counts) == {"1"}


def test_the_broker_is_recognised_by_its_properties_file() -> None:
    assert broker_command(PLAN)[-2:] == ["kafka.Kafka", "/state/kafka/server.properties"]
    assert "-Xmx512m" in broker_command(PLAN)
    assert "/jars/a.jar:/jars/b.jar" in broker_command(PLAN)


def test_the_folder_is_formatted_for_the_given_cluster() -> None:
    command = format_command(PLAN, "some-cluster")
    assert command[command.index("format") :] == [
        "format",
        "-t",
        "some-cluster",
        "-c",
        "/state/kafka/server.properties",
    ]


def test_properties_are_one_line_each() -> None:
    assert render_properties({"b": "2", "a": "1"}) == "a=1\nb=2\n"


@pytest.mark.parametrize("plan", CONTAINERS, ids=lambda plan: plan.image)
def test_a_container_keeps_its_data_in_a_volume_of_this_folder(plan: ContainerPlan) -> None:
    assert plan.name.endswith("-x")
    assert plan.volume.endswith("-x")
    assert plan.data_path.startswith("/var/lib/")
    assert plan.probe


def test_the_kafka_container_is_reached_by_the_advertised_address() -> None:
    kafka = CONTAINERS[0]
    assert kafka.environment["KAFKA_ADVERTISED_LISTENERS"] == "PLAINTEXT://127.0.0.1:29092"
    assert kafka.host_port == kafka.container_port == 29092
    assert kafka.environment["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


def test_the_password_of_the_database_is_not_in_the_repr_of_its_plan() -> None:
    assert "hidden-word" not in repr(CONTAINERS[1])


def test_the_compose_file_says_the_same_as_the_container_plans() -> None:
    text = COMPOSE.read_text()
    assert f"image: {KAFKA_IMAGE}\n" in text
    assert f"image: {POSTGRES_IMAGE}\n" in text
    for name, value in kafka_container("x", 9092, 4).environment.items():
        assert f"{name}: {value}\n" in text.replace('"', "")


def test_every_jar_of_kafka_is_locked_by_hash() -> None:
    lock = load_jar_lock()
    assert lock.kafka == "4.3.1"
    assert KAFKA_IMAGE.endswith(f":{lock.kafka}")
    assert all(len(jar.sha256) == 64 and jar.size > 0 for jar in lock.jars)
    assert {"kafka_2.13", "slf4j-simple"} <= {jar.artifact for jar in lock.jars}


def test_the_jar_cache_belongs_to_the_user_and_the_version() -> None:
    lock = JarLock(kafka="9.9.9", jars=())
    assert cache_dir(lock, {"XDG_CACHE_HOME": "/c"}) == Path("/c/wundr/kafka-9.9.9")


def test_a_jar_of_another_size_counts_as_missing(tmp_path: Path) -> None:
    whole, cut = (
        Jar(group="org.example", artifact=name, version="1", sha256="0" * 64, size=4)
        for name in ("whole", "cut")
    )
    for jar, content in ((whole, b"1234"), (cut, b"12")):
        (tmp_path / jar.path).parent.mkdir(parents=True)
        (tmp_path / jar.path).write_bytes(content)
    assert missing_jars(JarLock(kafka="1", jars=(whole, cut)), tmp_path) == (cut,)
