import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg
import pytest
from psycopg import sql

from connectors.errors import ForeignCluster
from connectors.postgres.migrations import migrate
from connectors.settings import PostgresSettings
from connectors.sink_service import SinkPlan, store_sink
from connectors.sink_status import SinkStep
from connectors.store_sink import StoreSink
from infra.stack.postgres import start_postgres, stop_postgres
from schemas.event import Event
from tests.integration.connectors.conftest import Archive, eventually, new_archive

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

ROOT = Path(__file__).parents[3]
Files = Callable[[int], list[Event[Any]]]


def stored(dsn: str) -> list[str]:
    with psycopg.connect(dsn) as connection:
        return [
            row[0] for row in connection.execute("SELECT event_id FROM events ORDER BY sequence")
        ]


def count(dsn: str) -> int:
    return len(stored(dsn))


def consistent(dsn: str) -> bool:
    """Whether every position is below its partition's next offset and has its event."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "SELECT count(*) FROM event_positions p"
            " LEFT JOIN events e USING (event_id)"
            " JOIN sink_offsets o USING (topic_id, partition)"
            ' WHERE e.event_id IS NULL OR p."offset" >= o.next'
        ).fetchone()
    return row == (0,)


@asynccontextmanager
async def running(plan: SinkPlan) -> AsyncIterator[StoreSink]:
    stop = asyncio.Event()
    async with store_sink(plan) as sink:
        task = asyncio.create_task(sink.run(stop))
        try:
            yield sink
        finally:
            stop.set()
            await task


def stop_at_once(postmaster: int) -> None:
    """What `pg_ctl stop -m immediate` does: no checkpoint, recovery at the next start."""
    process = psutil.Process(postmaster)
    process.send_signal(signal.SIGQUIT)
    process.wait(30)


def start_process(
    archive: Archive, dsn: str, step: SinkStep | None, hit: int
) -> subprocess.Popen[bytes]:
    asked = {
        "bootstrap": archive.bootstrap,
        "name": archive.name,
        "dsn": dsn,
        "step": step,
        "hit": hit,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "tests.integration.connectors.crashing_sink", json.dumps(asked)],
        cwd=ROOT,
    )


async def test_events_are_stored_in_order_with_their_positions(
    archive: Archive, fresh_database: str, files: Files
) -> None:
    events = files(300)
    await archive.put(events)
    plan = archive.plan(fresh_database)
    await migrate(plan.postgres)
    async with running(plan) as sink:
        await eventually(lambda: sink.status.stored == 300)
    by_aggregate: dict[str, list[str]] = {}
    for event in events:
        by_aggregate.setdefault(event.key, []).append(event.id)
    order = {event_id: at for at, event_id in enumerate(stored(fresh_database))}
    for ids in by_aggregate.values():
        assert ids == sorted(ids, key=order.__getitem__)
    assert consistent(fresh_database)


async def test_bytes_that_are_no_event_are_confirmed_dead_letters(
    archive: Archive, fresh_database: str, files: Files
) -> None:
    unknown = b"\x00\x7f\xff\xff\xffx"
    await archive.put([b"not ours", *files(5), unknown, unknown])
    plan = archive.plan(fresh_database)
    await migrate(plan.postgres)
    async with running(plan) as sink:
        await eventually(lambda: (sink.status.stored, sink.status.dead_letters) == (5, 3))
    assert sorted(archive.dead_letters(), key=str) == sorted(
        [b"not ours", unknown, unknown], key=str
    )


@pytest.mark.slow
async def test_a_kill_after_any_step_loses_and_repeats_nothing(
    kafka_bootstrap: str, postgres_dsn: str, files: Files
) -> None:
    """All steps at once: most of the time goes by until Kafka notices that a member is dead."""
    await asyncio.gather(
        *(
            kill_and_restart(new_archive(kafka_bootstrap), postgres_dsn, files(120), step)
            for step in SinkStep
        )
    )


async def kill_and_restart(
    archive: Archive, server_dsn: str, events: list[Event[Any]], step: SinkStep
) -> None:
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(archive.name)))
    dsn = urlsplit(server_dsn)._replace(path=f"/{archive.name}").geturl()
    await migrate(PostgresSettings(dsn=dsn))
    await archive.put([*events[:60], b"no event", *events[60:]])
    crashing = start_process(archive, dsn, step, hit=1)
    assert await asyncio.to_thread(crashing.wait, 60) == -signal.SIGKILL
    restarted = start_process(archive, dsn, None, hit=0)
    try:
        await eventually(lambda: count(dsn) == len(events))
    finally:
        restarted.terminate()
        assert await asyncio.to_thread(restarted.wait, 60) == 0
    assert sorted(stored(dsn)) == sorted(event.id for event in events)
    assert consistent(dsn)
    assert set(archive.dead_letters()) == {b"no event"}


@pytest.mark.slow
async def test_postgres_stopped_in_the_middle_loses_nothing_and_work_goes_on(
    archive: Archive, tmp_path: Path, files: Files
) -> None:
    events = files(200)
    server = start_postgres(tmp_path)
    try:
        plan = archive.plan(server.dsn)
        await migrate(plan.postgres)
        await archive.put(events[:100])
        async with running(plan) as sink:
            await eventually(lambda: sink.status.stored > 0)
            await asyncio.to_thread(stop_at_once, server.process.pid)
            await archive.put(events[100:])
            await eventually(lambda: sink.status.waiting_for is not None)
            await asyncio.to_thread(start_postgres, tmp_path)
            await eventually(lambda: count(server.dsn) == 200, within_s=30)
            await eventually(lambda: sink.status.waiting_for is None)
        assert sink.status.dead_letters == 0
        assert sorted(stored(server.dsn)) == sorted(event.id for event in events)
    finally:
        stop_postgres(tmp_path)


@pytest.mark.slow
async def test_a_sink_that_was_frozen_is_refused_when_it_comes_back(
    archive: Archive, fresh_database: str, files: Files, tmp_path: Path
) -> None:
    """It stops with a batch in hand, for longer than its session: another one stores that."""
    plan = archive.plan(fresh_database)
    await migrate(plan.postgres)
    await archive.put(files(60))
    log = tmp_path / "frozen.log"
    frozen = start_frozen(archive, fresh_database, log)
    try:
        is_stopped = psutil.Process(frozen.pid).status
        await eventually(lambda: is_stopped() == psutil.STATUS_STOPPED)
        async with running(plan):
            await eventually(lambda: count(fresh_database) == 60)
            frozen.send_signal(signal.SIGCONT)
            await eventually(lambda: "taken over, joining again" in log.read_text())
            await archive.put(files(40))
            await eventually(lambda: count(fresh_database) == 100)
    finally:
        frozen.kill()
        await asyncio.to_thread(frozen.wait, 60)
    assert consistent(fresh_database)


def start_frozen(archive: Archive, dsn: str, log: Path) -> subprocess.Popen[bytes]:
    asked = {"bootstrap": archive.bootstrap, "name": archive.name, "dsn": dsn}
    asked |= {"step": SinkStep.READ, "signal": "SIGSTOP"}
    with log.open("wb") as output:
        return subprocess.Popen(
            [
                sys.executable,
                *("-m", "tests.integration.connectors.crashing_sink"),
                json.dumps({**asked, "hit": 2}),
            ],
            cwd=ROOT,
            stdout=output,
            stderr=output,
        )


async def test_another_kafka_is_refused(archive: Archive, fresh_database: str) -> None:
    plan = archive.plan(fresh_database)
    await migrate(plan.postgres)
    with psycopg.connect(fresh_database) as connection:
        connection.execute("INSERT INTO sink_offsets VALUES ('another', 0, 7, 1)")
    async with store_sink(plan) as sink:
        with pytest.raises(ForeignCluster, match="another"):
            await sink.run(asyncio.Event())
