from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from benchmarks.contract import RunConfig
from benchmarks.launch import ROOT
from benchmarks.peers import connect
from benchmarks.peers.connect.installation import load_lock, plugin_path
from benchmarks.peers.connect.lock_jars import OF_THE_WORKER, OTHER_DATABASES, plugged_in
from benchmarks.peers.connect.registry import application
from benchmarks.peers.connect.settings import (
    connector_settings,
    java_command,
    jdbc_url,
    worker_properties,
)
from benchmarks.peers.connect.worker import ConnectFailed, failures, running_worker
from benchmarks.peers.jar_lock import Locked
from benchmarks.repositories import EVENT_TYPE
from infra.stack.ports import LOOPBACK, any_free_port

DSN = "postgresql://postgres:@/bench_1?host=/state/postgres"
CONFIG = RunConfig(
    folder="/run",
    bootstrap="127.0.0.1:9092",
    topic="store.events",
    group="bench-1",
    options={"dsn": DSN},
)
SLEEPING = (sys.executable, "-c", "import time; time.sleep(60)")


def test_a_worker_listens_on_loopback_and_has_topics_of_its_own() -> None:
    properties = worker_properties(CONFIG, 8083, Path("/run/plugins"))
    assert properties["listeners"] == "http://127.0.0.1:8083"
    assert properties["config.storage.topic"] == "bench-1-config"
    assert properties["offset.storage.topic"] == "bench-1-offset"
    assert properties["status.storage.topic"] == "bench-1-status"
    assert properties["plugin.path"] == "/run/plugins"


def test_the_sink_reads_the_topic_of_the_run_from_its_begin() -> None:
    settings = connector_settings(CONFIG, "http://127.0.0.1:1/registry")
    assert settings["topics"] == "store.events"
    assert settings["consumer.override.auto.offset.reset"] == "earliest"
    assert settings["value.converter.apicurio.registry.url"] == "http://127.0.0.1:1/registry"


def test_one_poll_fills_one_batch() -> None:
    settings = connector_settings(CONFIG, "")
    assert settings["batch.size"] == settings["consumer.override.max.poll.records"]


def test_the_database_is_reached_by_its_socket() -> None:
    url = jdbc_url(DSN)
    assert url.startswith("jdbc:postgresql://localhost/bench_1?")
    assert "socketFactoryArg=%2Fstate%2Fpostgres%2F.s.PGSQL.5432&" in url


def test_another_port_is_another_socket() -> None:
    assert ".s.PGSQL.5433&" in jdbc_url(DSN + "&port=5433")


def test_the_class_path_is_the_worker_s() -> None:
    command = java_command(Path("/java"), [Path("/a.jar"), Path("/b.jar")], Path("/w.properties"))
    assert command[command.index("-cp") + 1] == "/a.jar:/b.jar"
    assert command[-1] == "/w.properties"


def test_the_lock_has_the_worker_and_what_is_plugged_into_it() -> None:
    lock = load_lock()
    worker = {jar.artifact for jar in lock.worker}
    plugin = {jar.artifact for jar in lock.plugin}
    assert {"connect-runtime", "kafka-clients", "slf4j-simple"} <= worker
    assert {"debezium-connector-jdbc", "apicurio-registry-utils-converter"} <= plugin
    assert all(len(jar.sha256) == 64 for jar in (*lock.worker, *lock.plugin))


def test_a_plugin_brings_no_second_copy_of_what_the_worker_has() -> None:
    refused = (*OF_THE_WORKER, *OTHER_DATABASES)
    assert [jar for jar in load_lock().plugin if jar.group.startswith(refused)] == []


def test_parts_of_a_plugin_may_share_a_jar_of_one_version_only() -> None:
    avro: Locked = {"group": "org.apache.avro", "artifact": "avro", "version": "1.12.0"}
    clients: Locked = {"group": "org.apache.kafka", "artifact": "kafka-clients", "version": "3.9.0"}
    older: Locked = avro | {"version": "1.11.0"}
    assert plugged_in([[avro, clients], [avro]]) == [avro]
    with pytest.raises(ValueError, match="two versions"):
        plugged_in([[avro], [older]])


def test_a_plugin_is_a_folder_of_jars(tmp_path: Path) -> None:
    jar = tmp_path / "cache" / "sink.jar"
    jar.parent.mkdir()
    jar.write_bytes(b"jar")
    plugins = plugin_path(tmp_path / "run", [jar])
    assert [it.read_bytes() for it in plugins.glob("*/*.jar")] == [b"jar"]


def test_what_has_failed_says_why() -> None:
    running = {"state": "RUNNING"}
    assert failures({"connector": running, "tasks": [running]}) == []
    failed = {"state": "FAILED", "trace": "no driver"}
    assert failures({"connector": running, "tasks": [running, failed]}) == ["no driver"]


async def test_a_worker_that_ends_before_it_is_ready_is_an_error() -> None:
    command = (sys.executable, "-c", "raise SystemExit(3)")
    with pytest.raises(ConnectFailed, match="ended with 3"):
        async with running_worker(command, f"http://{LOOPBACK}:{any_free_port()}"):
            pass


async def test_a_worker_ends_with_its_block_also_when_its_connector_is_refused() -> None:
    async with TestServer(_refusing()) as server:
        with pytest.raises(ConnectFailed, match="no such class"):
            async with running_worker(SLEEPING, str(server.make_url("/"))) as worker:
                await worker.create("sink", {})
    assert not psutil.pid_exists(worker.pid)


def _refusing() -> web.Application:
    """What a worker answers that is ready and takes no connector."""

    async def ready(_request: web.Request) -> web.Response:
        return web.json_response([])

    async def refuse(_request: web.Request) -> web.Response:
        return web.Response(status=400, text="no such class")

    app = web.Application()
    app.router.add_get("/connectors", ready)
    app.router.add_put("/connectors/{name}/config", refuse)
    return app


def _flat(schema: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for field in schema["fields"]:
        kinds = field["type"] if isinstance(field["type"], list) else [field["type"]]
        records = [it for it in kinds if isinstance(it, dict) and it["type"] == "record"]
        for record in records:
            yield from _flat(record, f"{prefix}{field['name']}_")
        if not records:
            yield f"{prefix}{field['name']}".lower()


def test_the_table_has_a_column_for_each_field_that_is_left() -> None:
    folder = Path(connect.__file__).parent
    columns = re.findall(r'^    "?(\w+)', (folder / "table.sql").read_text(), re.MULTILINE)
    schema = json.loads((ROOT / "schemas" / "composed" / EVENT_TYPE / "1.0.0.avsc").read_text())
    fields = [name for name in _flat(schema) if not name.startswith("metadata_")]
    assert columns == fields


async def test_the_registry_knows_the_schemas_of_the_run() -> None:
    async with TestClient(TestServer(application({"7": '"string"'}))) as client:
        found = await client.get("/apis/registry/v2/ids/contentIds/7")
        assert await found.text() == '"string"'
        references = await client.get("/apis/registry/v2/ids/contentIds/7/references")
        assert await references.json() == []
        unknown = await client.get("/apis/registry/v2/ids/contentIds/8")
        assert unknown.status == 404
