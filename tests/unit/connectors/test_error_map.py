import psycopg
import psycopg_pool
import pytest
from psycopg import errors

from connectors.errors import (
    AppendOnly,
    ConnectorsError,
    DatabaseRefused,
    DatabaseUnavailable,
    NotMigrated,
)
from connectors.postgres.error_map import platform_errors
from streams.errors import InfrastructureError


class _Guarded(psycopg.Error):
    sqlstate = "WU001"


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (psycopg.OperationalError("gone"), DatabaseUnavailable),
        (errors.AdminShutdown("stopping"), DatabaseUnavailable),
        (errors.ReadOnlySqlTransaction("a standby"), DatabaseUnavailable),
        (errors.QueryCanceled("too slow"), DatabaseUnavailable),
        (errors.InvalidPassword("no"), DatabaseUnavailable),
        (psycopg_pool.PoolTimeout("none free"), DatabaseUnavailable),
        (ConnectionResetError("reset"), DatabaseUnavailable),
        (errors.UndefinedTable("events"), NotMigrated),
        (errors.InsufficientPrivilege("events"), DatabaseRefused),
        (errors.UniqueViolation("twice"), DatabaseRefused),
        (errors.ProgramLimitExceeded("index row too large"), DatabaseRefused),
        (_Guarded("append-only"), AppendOnly),
    ],
)
def test_every_error_of_the_driver_becomes_one_of_ours(
    raised: Exception, expected: type[ConnectorsError]
) -> None:
    with pytest.raises(ConnectorsError) as mapped, platform_errors():
        raise raised
    assert type(mapped.value) is expected
    assert mapped.value.__cause__ is raised
    assert mapped.value.retryable is (expected is DatabaseUnavailable)


def test_only_a_database_that_is_away_is_an_infrastructure_error() -> None:
    assert issubclass(DatabaseUnavailable, InfrastructureError)
    assert not issubclass(DatabaseRefused, InfrastructureError)


def test_errors_of_the_platform_pass_unchanged() -> None:
    error = AppendOnly()
    with pytest.raises(AppendOnly) as raised, platform_errors():
        raise error
    assert raised.value is error
