"""How Kafka Connect, its converter and the sink are set up, as data. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final
from urllib.parse import quote

from psycopg.conninfo import conninfo_to_dict

from benchmarks.contract import RunConfig
from infra.stack.ports import LOOPBACK

TABLE: Final = "debezium_events"
TUNING: Final = {
    "insert.mode": "upsert",
    "tasks.max": "2",
    "batch.size": "3000",
    "consumer.override.max.poll.records": "3000",
    # One statement with an array a column costs worker and database less than a row a statement.
    "dialect.postgres.unnest.insert.enabled": "true",
}
"""What decides how fast the sink is; shown beside its figures, too."""

_SOCKETS: Final = "org.newsclub.net.unix.AFUNIXSocketFactory$FactoryArg"
_TRANSFORMS: Final = "org.apache.kafka.connect.transforms"
_POSTGRES_PORT: Final = "5432"


def worker_properties(config: RunConfig, port: int, plugins: Path) -> dict[str, str]:
    """A distributed worker of one process, with topics of this run alone."""
    topics = {
        f"{kind}.storage.{name}": value
        for kind in ("config", "offset", "status")
        for name, value in (("topic", f"{config.group}-{kind}"), ("replication.factor", "1"))
    }
    return topics | {
        "bootstrap.servers": config.bootstrap,
        "group.id": f"{config.group}-workers",
        "offset.storage.partitions": "1",
        "status.storage.partitions": "1",
        "listeners": f"http://{LOOPBACK}:{port}",
        "plugin.path": str(plugins),
        # The converter's jar does not list what it has, as the faster look would need.
        "plugin.discovery": "only_scan",
        "key.converter": "org.apache.kafka.connect.storage.StringConverter",
        "value.converter": "org.apache.kafka.connect.storage.StringConverter",
        # Members of this group are known when it starts: there is nobody to wait for.
        "scheduled.rebalance.max.delay.ms": "0",
    }


def connector_settings(config: RunConfig, registry: str) -> dict[str, str]:
    """The sink: a row per event by its id, nested fields as columns."""
    return {
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
        "topics": config.topic,
        "consumer.override.auto.offset.reset": "earliest",
        "connection.url": jdbc_url(config.options["dsn"]),
        "connection.username": _user(config.options["dsn"]),
        "connection.password": "",
        "primary.key.mode": "record_value",
        "primary.key.fields": "id",
        "schema.evolution": "none",
        "collection.name.format": TABLE,
        **TUNING,
        **_avro(registry),
        **_flat_values(),
    }


def _flat_values() -> dict[str, str]:
    """The metadata have a map, which cannot be flattened; a single field is dropped as a whole."""
    return {
        "transforms": "drop,flatten",
        "transforms.drop.type": f"{_TRANSFORMS}.ReplaceField$Value",
        "transforms.drop.exclude": "metadata",
        "transforms.flatten.type": f"{_TRANSFORMS}.Flatten$Value",
        "transforms.flatten.delimiter": "_",
    }


def _avro(registry: str) -> dict[str, str]:
    """Reads the framing of Confluent: a zero byte, four bytes of schema id, the Avro body."""
    prefix = "value.converter"
    return {
        prefix: "io.apicurio.registry.utils.converter.AvroConverter",
        f"{prefix}.apicurio.registry.url": registry,
        f"{prefix}.apicurio.registry.as-confluent": "true",
        f"{prefix}.apicurio.registry.use-id": "contentId",
        f"{prefix}.apicurio.registry.headers.enabled": "false",
    }


def jdbc_url(dsn: str) -> str:
    """The database by its Unix socket: the way by which every system of the bench reaches it."""
    server = conninfo_to_dict(dsn)
    socket = f"{server['host']}/.s.PGSQL.{server.get('port', _POSTGRES_PORT)}"
    return (
        f"jdbc:postgresql://localhost/{server['dbname']}"
        f"?socketFactory={_SOCKETS}&socketFactoryArg={quote(socket, safe='')}"
        "&reWriteBatchedInserts=true"
    )


def _user(dsn: str) -> str:
    return str(conninfo_to_dict(dsn)["user"])


def java_command(java: Path, jars: Iterable[Path], properties: Path) -> list[str]:
    """Run the worker with the heap of Kafka's own start script, and a collector for throughput.

    With the collector of that script, G1 with short pauses, the sink is about a quarter slower.
    """
    return [
        str(java),
        "-Xms256m",
        "-Xmx2g",
        "-XX:+UseParallelGC",
        "-Djava.awt.headless=true",
        # Without a backend a worker that fails says nothing.
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "--enable-native-access=ALL-UNNAMED",
        "-cp",
        ":".join(str(jar) for jar in jars),
        "org.apache.kafka.connect.cli.ConnectDistributed",
        str(properties),
    ]
