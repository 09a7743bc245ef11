from pathlib import Path

import pytest

from connectors import sql
from connectors.errors import MigrationChanged
from connectors.postgres.migrations import pending
from connectors.sql import QUERIES, Migration, load_migrations, parse_queries

FIRST = Migration(name="0001_pre_first.sql", statements="CREATE TABLE a ()")
SECOND = Migration(name="0002_post_second.sql", statements="DROP TABLE b")


def test_a_query_file_holds_names_purposes_and_statements() -> None:
    text = (
        "-- Intro.\n\n-- one --\n-- Purpose.\nSELECT 1\n\n-- two --\n-- Other.\nSELECT 2\nFROM t\n"
    )
    assert parse_queries(text) == {"one": "SELECT 1", "two": "SELECT 2\nFROM t"}


def test_a_query_without_a_line_of_purpose_is_not_found() -> None:
    assert parse_queries("-- one --\nSELECT 1\n") == {}


def test_queries_of_every_file_are_loaded_and_none_hides_another() -> None:
    folder = Path(sql.__file__).parent
    named = [parse_queries(file.read_text()) for file in folder.glob("*.sql")]
    assert len(named) > 1
    assert sum(len(queries) for queries in named) == len(QUERIES)


def test_no_query_has_two_statements() -> None:
    assert [name for name, statement in QUERIES.items() if ";" in statement] == []


def test_migrations_come_in_the_order_of_their_numbers() -> None:
    names = [migration.name for migration in load_migrations()]
    assert names
    assert names == sorted(names)
    assert len({name[:4] for name in names}) == len(names)


def test_only_what_was_not_applied_is_pending() -> None:
    assert pending([FIRST, SECOND], {FIRST.name: FIRST.checksum}) == [SECOND]
    assert pending([FIRST], {FIRST.name: FIRST.checksum}) == []


def test_a_changed_applied_migration_is_refused_by_name() -> None:
    with pytest.raises(MigrationChanged, match=r"0001_pre_first\.sql") as refusal:
        pending([FIRST, SECOND], {FIRST.name: "another checksum"})
    assert refusal.value.names == (FIRST.name,)


def test_migrations_of_a_newer_release_are_left_alone() -> None:
    assert pending([FIRST], {FIRST.name: FIRST.checksum, "0009_pre_future.sql": "x"}) == []
