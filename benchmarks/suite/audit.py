"""How long an audit of a million events takes, and how much memory."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import Final

from benchmarks.bench import Bench, Stage
from benchmarks.broker import Broker
from benchmarks.contract import Measurement, RunConfig
from benchmarks.errors import ChecksumMismatch
from benchmarks.goals import Measured, at_most
from benchmarks.stored_topic import StoredTopic, migrated_database
from benchmarks.system import OURS, Environment, System
from connectors.restore_service import RestorePlan, store_restore
from connectors.settings import PostgresSettings
from infra.topics import topic_ids
from schemas.catalog import Catalog
from schemas.topics import STORE_EVENTS, all_events_topics
from streams.settings import KafkaSettings

EVENTS: Final = 1_000_000
WHOLE_SECONDS: Final = 5.0
GROWTH: Final = "growth_mb"
AUDIT_S: Final = "audit_s"


class Auditing:
    """Implements Driver: one topic and one database that hold the same events."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._events = round(EVENTS * min(1.0, stage.seconds / WHOLE_SECONDS))
        self._closing = ExitStack()
        self._dsn = ""

    def prepare(self) -> None:
        """See Driver."""
        # An audit looks at every event that a broker has: those of other benches would count.
        Broker(self._stage.bootstrap).remove(all_events_topics())
        self._stage.say(f"writing {self._events:,} events")
        StoredTopic(self._stage.bootstrap).write(self._events)
        self._dsn = self._closing.enter_context(migrated_database(self._stage.postgres_dsn))
        self._stage.say("storing them")
        asyncio.run(self._restore())

    async def _restore(self) -> None:
        plan = RestorePlan(
            kafka=KafkaSettings(bootstrap=self._stage.bootstrap),
            postgres=PostgresSettings(dsn=self._dsn),
            topic_id=topic_ids(self._stage.bootstrap, [STORE_EVENTS])[STORE_EVENTS],
            catalog=Catalog.load(),
            stores_json=False,
        )
        async with store_restore(plan) as restore:
            await restore.run()

    def run(self, system: System) -> Measurement:
        """See Driver."""
        with self._stage.run_folder() as folder:
            config = RunConfig(
                folder=str(folder),
                bootstrap=self._stage.bootstrap,
                events=self._events,
                options={"dsn": self._dsn},
            )
            measured = self._stage.launcher.run(system, config)
        if measured.events != self._events:
            raise ChecksumMismatch(f"{measured.events} of {self._events} events were compared")
        return measured


BENCH: Final = Bench(
    name="audit",
    question="How long does an audit of 1,000,000 events take?",
    driver=Auditing,
    systems=(
        System(
            name=OURS,
            module="benchmarks.systems.audit",
            environment=Environment.PROJECT,
            settings={"topics": "store.events and events.*", "tables": "events, event_positions"},
        ),
    ),
    goals=(
        at_most(60, "1,000,000 events <= 60 s", Measured(OURS, AUDIT_S)),
        at_most(100, "memory grows by <= 100 MB", Measured(OURS, GROWTH)),
    ),
)
