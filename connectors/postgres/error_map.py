"""The one place where an error of the driver becomes an error of the platform, its cause kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
import psycopg_pool
from psycopg import errors

from connectors.errors import AppendOnly, DatabaseRefused, DatabaseUnavailable, NotMigrated

_APPEND_ONLY: Final = "WU001"


@contextmanager
def platform_errors() -> Iterator[None]:
    """Raise platform errors in place of the driver's; retryable where the database was away."""
    try:
        yield
    except (errors.UndefinedTable, errors.UndefinedColumn) as error:
        raise NotMigrated(_first_line(error)) from error
    except (errors.ProgramLimitExceeded, errors.StatementTooComplex) as error:
        raise DatabaseRefused(_first_line(error)) from error
    except (
        errors.ReadOnlySqlTransaction,
        psycopg.OperationalError,
        psycopg.InterfaceError,
        psycopg_pool.PoolClosed,
        OSError,
    ) as error:
        raise DatabaseUnavailable(f"Postgres does not answer: {_first_line(error)}") from error
    except psycopg.Error as error:
        refusal = AppendOnly if error.sqlstate == _APPEND_ONLY else DatabaseRefused
        raise refusal(_first_line(error)) from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
