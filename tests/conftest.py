"""Real servers for tests: one stack per session, unless `WUNDR_TEST_*` name running ones.

A session that was killed leaves servers behind; the next session ends them before it starts.
"""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from hypothesis import settings
from psycopg import sql

from infra.settings import load_settings
from infra.stack.endpoints import Endpoints
from infra.stack.local import start_stack
from tests.session_folders import STATE, make_folder, remove_folder, remove_leftovers

# How long an example takes says how busy the machine is: pytest's own limit ends what hangs.
settings.register_profile("no deadline", parent=settings.default, deadline=None)
settings.load_profile("no deadline")


@pytest.fixture(scope="session")
def swept_temporary_folder() -> Path:
    """The folder for folders of servers, free of what killed sessions left running.

    Not pytest's own: its mode 0700 shuts out the system user that PostgreSQL runs as.
    """
    temporary = Path(tempfile.gettempdir())
    remove_leftovers(temporary)
    return temporary


@pytest.fixture(scope="session")
def local_stack(swept_temporary_folder: Path) -> Iterator[Endpoints]:
    """Kafka and PostgreSQL of this session, in a folder that is removed afterwards."""
    folder = make_folder(swept_temporary_folder)
    settings = {"WUNDR_PROVIDER": "embedded", "WUNDR_STATE_DIR": str(folder / STATE)}
    try:
        yield start_stack(load_settings(settings))
    finally:
        remove_folder(folder)


@pytest.fixture
def working_folder(swept_temporary_folder: Path) -> Iterator[Path]:
    """An empty folder to run `wundr` in; a stack that was started there is stopped."""
    folder = make_folder(swept_temporary_folder)
    yield folder
    remove_folder(folder)


@pytest.fixture(scope="session")
def session_folder(swept_temporary_folder: Path) -> Iterator[Path]:
    """A folder to run `wundr` in that several tests share, one after the other."""
    folder = make_folder(swept_temporary_folder)
    yield folder
    remove_folder(folder)


@pytest.fixture(scope="session")
def kafka_bootstrap(request: pytest.FixtureRequest) -> str:
    """Address of a Kafka broker. Others use it too: give your topics fresh names."""
    given = os.environ.get("WUNDR_TEST_KAFKA")
    return given or str(request.getfixturevalue("local_stack").kafka_bootstrap)


@pytest.fixture(scope="session")
def postgres_dsn(request: pytest.FixtureRequest) -> str:
    """A PostgreSQL server on which databases may be made; tests use `fresh_database`."""
    given = os.environ.get("WUNDR_TEST_POSTGRES")
    return given or str(request.getfixturevalue("local_stack").postgres_dsn)


@pytest.fixture
def fresh_database(postgres_dsn: str) -> Iterator[str]:
    """DSN of a new, empty database, dropped after the test with whoever is still connected."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield urlsplit(postgres_dsn)._replace(path=f"/{name}").geturl()
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        connection.execute(drop.format(sql.Identifier(name)))
