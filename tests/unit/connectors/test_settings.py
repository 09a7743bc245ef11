import traceback

import pytest

from connectors.errors import InvalidPostgresSettings
from connectors.postgres.database import Database
from connectors.settings import PostgresSettings

SECRET = "canary-c0ffee"


def test_the_address_does_not_print() -> None:
    assert SECRET not in repr(PostgresSettings(dsn=f"postgresql://u:{SECRET}@h/d"))


def test_an_unreadable_address_is_refused_without_showing_it() -> None:
    with pytest.raises(InvalidPostgresSettings) as refusal:
        Database(PostgresSettings(dsn=f"postgresql://u:{SECRET}@h:port:/d?x"))
    assert SECRET not in "".join(traceback.format_exception(refusal.value))
