"""Sagas on a real Kafka and a real PostgreSQL, with workers and a relay that are killed."""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, LiteralString

import psycopg
import pytest

from connectors.postgres.migrations import migrate
from connectors.settings import PostgresSettings
from infra.topics import apply, plan
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.errors import UnknownSchemaId
from schemas.event import Event, EventData, EventFactory
from schemas.events.domain import SetupSessionStarted, SetupStepInstallCompleted
from schemas.topics import SCHEMAS_TOPIC, all_events_topics, platform_topics
from streams.app import App
from streams.kafka.reader import KafkaReader
from streams.kafka.sender import KafkaSender
from streams.publisher import event_record
from streams.sagas.saga import DeadlinePassed
from streams.settings import KafkaSettings
from tests.contracts.rigs import PARTITIONS, create_topics, unique
from tests.integration.connectors.test_outbox_relay import relay_process
from tests.integration.forked import ForkedProcess, Program
from tests.integration.sagas.team_app import SILENT

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.slow]

CATALOG = Catalog.load()
ROOT: Final = Path(__file__).parents[3]
END_S: Final = 60.0
ENDS: Final = {"setup.session.completed", "setup.session.failed"}


@dataclass
class Installation:
    """A broker, a database, and the workers of one app."""

    bootstrap: str
    dsn: str
    app: str
    folder: Path
    step_s: float = 8.0
    workers: list[ForkedProcess] = field(default_factory=list)

    async def start_worker(self) -> ForkedProcess:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("WUNDR_")
        }
        environment |= {
            "PYTHONPATH": str(ROOT),
            "SAGA_TEST_APP": self.app,
            "SAGA_TEST_STEP_S": str(self.step_s),
            "WUNDR_PROVIDER": "external",
            "WUNDR_KAFKA_BOOTSTRAP": self.bootstrap,
            "WUNDR_POSTGRES_DSN": self.dsn,
            "WUNDR_PARTITIONS": str(PARTITIONS),
            "WUNDR_STATE_DIR": str(self.folder / f"state-{len(self.workers)}"),
        }
        worker = ForkedProcess(
            Program(
                module="infra",
                arguments=("worker", "tests.integration.sagas.team_app"),
                folder=self.folder,
                log=self.folder / f"worker-{len(self.workers)}.log",
                environment=environment,
            )
        )
        self.workers.append(worker)
        return worker

    async def publish(self, sessions: Sequence[str], profile: str) -> None:
        await self.send(
            SetupSessionStarted(
                session_id=session_id, profile_id=profile, project_id="p", user_id=None
            )
            for session_id in sessions
        )

    async def send(self, data: Iterable[EventData]) -> None:
        sender, codec = KafkaSender(KafkaSettings(bootstrap=self.bootstrap)), Codec(CATALOG)
        factory = EventFactory(CATALOG, "tests")
        for one in data:
            event = factory.create(one)
            await sender.send(event_record(event, codec.encode(event)))
        await sender.close()

    def statuses(self, sessions: Sequence[str]) -> dict[str, str]:
        """How far the course of each session is; the topics hold those of other tests, too."""
        with psycopg.connect(self.dsn) as connection:
            rows = connection.execute(
                "SELECT key, status FROM sagas WHERE key = ANY(%s)", (list(sessions),)
            ).fetchall()
        return dict(rows)

    async def until(self, sessions: Sequence[str], are_over: int, within_s: float = END_S) -> None:
        """Wait until the courses of so many of these sessions are over."""
        over: list[str] = []
        try:
            async with asyncio.timeout(within_s):
                while len(over) < are_over:
                    await asyncio.sleep(0.1)
                    statuses = self.statuses(sessions)
                    over = [it for it in statuses.values() if it in {"completed", "compensated"}]
        except TimeoutError:
            logs = "".join(it.read_text()[-2_000:] for it in self.folder.glob("*.log"))
            pytest.fail(f"after {within_s} s {self.statuses(sessions)}\n{logs}")

    async def until_sent(self) -> None:
        """Wait until the relay has sent everything."""
        await self.until_true("SELECT count(*) = 0 FROM outbox")

    async def until_true(self, query: LiteralString, *values: object) -> None:
        """Wait until Postgres says so."""
        async with asyncio.timeout(END_S):
            while True:
                with psycopg.connect(self.dsn) as connection:
                    if connection.execute(query, values).fetchone() == (True,):
                        return
                await asyncio.sleep(0.1)

    async def events(self, sessions: Sequence[str]) -> dict[str, list[Event[Any]]]:
        """The events of these sessions in the topics, each once, by session."""
        reader = KafkaReader(KafkaSettings(bootstrap=self.bootstrap), all_events_topics())
        await reader.start()
        codec, found = Codec(CATALOG), dict[str, Event[Any]]()
        following, ends = dict(await reader.beginning()), await reader.end()
        while any(following[source] < end for source, end in ends.items()):
            for source, records in (await reader.read(timeout_s=0.2)).items():
                following[source] = records[-1].offset + 1
                for record in records:
                    with suppress(UnknownSchemaId):  # Other tests publish types of their own.
                        event = codec.view(record.value or b"")
                        found[event.id] = event
        await reader.close()
        by_session: defaultdict[str, list[Event[Any]]] = defaultdict(list)
        for event in found.values():
            session_id = _session_of(event)
            if session_id in sessions:
                by_session[session_id].append(event)
        return by_session


def _session_of(event: Event[Any]) -> str:
    """The session that an event is about; nothing for one of another test."""
    data = event.data
    return str(data.key if isinstance(data, DeadlinePassed) else getattr(data, "session_id", ""))


@pytest.fixture
async def installation(
    kafka_bootstrap: str, fresh_database: str, tmp_path: Path
) -> AsyncIterator[Installation]:
    """Topics and tables are there; whatever still runs is killed afterwards."""
    app = unique("saga")
    specs = [*platform_topics(CATALOG, PARTITIONS), *App(app).topic_specs(PARTITIONS)]
    create_topics(kafka_bootstrap, [SCHEMAS_TOPIC], 1)
    await asyncio.to_thread(lambda: apply(kafka_bootstrap, plan(kafka_bootstrap, specs)))
    await migrate(PostgresSettings(dsn=fresh_database))
    made = Installation(kafka_bootstrap, fresh_database, app, tmp_path)
    yield made
    for worker in made.workers:
        if worker.returncode is None:
            worker.kill()
            await worker.wait()


def types(events: Sequence[Event[Any]]) -> list[str]:
    return sorted(event.type for event in events)


PATHS: Final = {
    "good": [
        "setup.session.completed",
        "setup.session.started",
        "setup.step.install.completed",
        "setup.step.install.started",
        "setup.step.validate.completed",
        "setup.step.validate.started",
    ],
    "bad": [
        "setup.session.failed",
        "setup.session.started",
        "setup.step.validate.completed",
        "setup.step.validate.started",
    ],
    SILENT: [
        "setup.session.failed",
        "setup.session.started",
        "setup.step.install.started",
        "setup.step.rollback.completed",
        "setup.step.rollback.started",
        "setup.step.validate.completed",
        "setup.step.validate.started",
        "system.saga.deadline.passed",
    ],
}


async def test_each_path_of_the_workflow_comes_to_its_end_and_its_events_name_their_causes(
    installation: Installation,
) -> None:
    sessions = {path: unique(path) for path in PATHS}
    await installation.start_worker()
    with relay_process(installation.bootstrap, installation.dsn):
        for path, session_id in sessions.items():
            await installation.publish([session_id], "cobol" if path == "bad" else "python")
        await installation.until(list(sessions.values()), len(sessions))
        await installation.until_sent()
    ends = {"good": "completed", "bad": "compensated", SILENT: "compensated"}
    statuses = installation.statuses(list(sessions.values()))
    assert statuses == {sessions[path]: end for path, end in ends.items()}
    found = await installation.events(list(sessions.values()))
    assert {path: types(found[session_id]) for path, session_id in sessions.items()} == PATHS
    for events in found.values():
        (root,) = [event for event in events if event.causation_id is None]
        assert root.type == "setup.session.started"
        known = {event.id for event in events}
        assert all(event.causation_id in known for event in events if event is not root)
        assert {event.correlation_id for event in events} == {root.correlation_id}


async def test_an_answer_that_came_while_no_worker_ran_wins_over_the_deadline(
    installation: Installation,
) -> None:
    installation.step_s = 4.0
    session_id = unique(SILENT)
    with relay_process(installation.bootstrap, installation.dsn):
        worker = await installation.start_worker()
        await installation.publish([session_id], "python")
        await installation.until_true(
            "SELECT count(*) = 1 FROM saga_deadlines JOIN sagas USING (course)"
            " WHERE key = %s AND steps = 2",
            session_id,
        )
        worker.terminate()
        await worker.wait()
        await installation.send(
            [SetupStepInstallCompleted(session_id=session_id, project_id="p", success=True)]
        )
        await installation.until_true(
            "SELECT bool_and(due_at < now()) FROM saga_deadlines JOIN sagas USING (course)"
            " WHERE key = %s",
            session_id,
        )
        await installation.start_worker()
        await installation.until([session_id], 1)
    assert installation.statuses([session_id]) == {session_id: "completed"}


@pytest.mark.timeout(180)
async def test_workers_that_are_killed_in_the_middle_bring_every_session_to_one_end(
    installation: Installation,
) -> None:
    sessions = [unique("good") for _ in range(40)] + [unique(SILENT) for _ in range(10)]
    victims = [await installation.start_worker() for _ in range(2)]
    with relay_process(installation.bootstrap, installation.dsn):
        await installation.publish(sessions[::2], "python")
        await installation.until(sessions, 1)
        for victim in victims:
            victim.kill()
            await victim.wait()
        await installation.publish(sessions[1::2], "python")
        for _ in range(2):
            await installation.start_worker()
        await installation.until(sessions, len(sessions), within_s=100)
        await installation.until_sent()
    statuses = installation.statuses(sessions)
    assert set(statuses) == set(sessions)
    found = await installation.events(sessions)
    for session_id in sessions:
        ends = [event.type for event in found[session_id] if event.type in ENDS]
        assert len(ends) == 1, types(found[session_id])
        expected = {"setup.session.completed": "completed", "setup.session.failed": "compensated"}
        assert statuses[session_id] == expected[ends[0]]
        assert types(found[session_id]).count("setup.step.validate.started") == 1
        assert types(found[session_id]).count("setup.step.install.started") <= 1
    silent = [it for it in sessions if it.startswith(SILENT)]
    assert {statuses[session_id] for session_id in silent} == {"compensated"}
    with psycopg.connect(installation.dsn) as connection:
        found_deadlines = connection.execute(
            "SELECT key FROM saga_deadlines JOIN sagas USING (course) WHERE key = ANY(%s)",
            (sessions,),
        ).fetchall()
    assert found_deadlines == []
