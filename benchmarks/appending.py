"""Runs that append events to an empty database; it must hold every one of them afterwards."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from benchmarks.bench import Stage
from benchmarks.broker import Broker
from benchmarks.contract import Measurement, RunConfig
from benchmarks.errors import ChecksumMismatch
from benchmarks.system import System
from benchmarks.workload import PARTITIONS
from schemas.catalog import Catalog
from schemas.topics import platform_topics

TOPIC: Final = "events.domain.high"
"""Where the relayed events of the bench go."""


class Appending:
    """Implements Driver. A system says in its options in which `table` its events are."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def prepare(self) -> None:
        """See Driver."""

    def run(self, system: System) -> Measurement:
        """See Driver."""
        with fresh_database(self._stage.postgres_dsn) as dsn, self._stage.run_folder() as folder:
            config = RunConfig(
                folder=str(folder),
                bootstrap=self._stage.bootstrap,
                topic=TOPIC,
                seconds=self._stage.seconds,
                options={**system.options, "dsn": dsn, "environment": _environment(dsn)},
            )
            measured = self._stage.launcher.run(system, config)
            stored = _count(dsn, system.options["table"])
        appended = round(measured.metrics["stored"])
        if stored != appended:
            raise ChecksumMismatch(f"{system.name} appended {appended} events, {stored} are there")
        return measured


class Relaying(Appending):
    """The same, with an empty topic for what is relayed."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._broker = Broker(stage.bootstrap)
        self._specs = platform_topics(Catalog.load(), PARTITIONS)

    def run(self, system: System) -> Measurement:
        """See Driver."""
        self._broker.remove([TOPIC])
        self._broker.make(self._specs)
        return super().run(system)


@contextmanager
def fresh_database(server: str) -> Iterator[str]:
    """The address of a new database, dropped behind the block."""
    name = sql.Identifier(f"bench_{uuid.uuid4().hex}")
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
    try:
        yield urlsplit(server)._replace(path=f"/{name.as_string(None).strip(chr(34))}").geturl()
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def _count(dsn: str, table: str) -> int:
    with psycopg.connect(dsn) as connection:
        query = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
        row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def _environment(dsn: str) -> Mapping[str, Any]:
    """The settings of the eventsourcing library for a database."""
    parts = conninfo_to_dict(dsn)
    return {
        "PERSISTENCE_MODULE": "eventsourcing.postgres",
        "POSTGRES_DBNAME": parts["dbname"],
        "POSTGRES_HOST": parts["host"],
        "POSTGRES_PORT": str(parts.get("port") or 5432),
        "POSTGRES_USER": parts["user"],
        "POSTGRES_PASSWORD": str(parts.get("password") or "none"),
    }
