import pytest

from infra.errors import SettingsInvalid
from infra.keys import key_settings, open_keys
from infra.settings import load_settings
from infra.stack.endpoints import Endpoints

STORE = "postgresql://store.test/events"
EXTERNAL = {
    "WUNDR_KAFKA_BOOTSTRAP": "kafka.test:9092",
    "WUNDR_POSTGRES_DSN": STORE,
}


def endpoints(provider: str) -> Endpoints:
    return Endpoints(kafka_bootstrap="kafka.test:9092", postgres_dsn=STORE, provider=provider)


def test_a_stack_of_the_folder_has_a_database_of_keys_beside_the_store() -> None:
    found = key_settings(load_settings({}), endpoints("embedded"))
    assert found is not None
    assert "dbname=wundr_keys" in found.dsn
    assert "host=store.test" in found.dsn


def test_on_servers_of_others_the_keys_are_where_the_setting_says_or_nowhere() -> None:
    assert open_keys(load_settings(EXTERNAL), endpoints("external")) is None
    named = EXTERNAL | {"WUNDR_KEYS_DSN": "postgresql://keys.test/keys"}
    found = key_settings(load_settings(named), endpoints("external"))
    assert found is not None
    assert found.dsn == "postgresql://keys.test/keys"


def test_keys_in_the_database_of_the_store_are_refused_without_showing_the_address() -> None:
    with pytest.raises(SettingsInvalid, match="WUNDR_KEYS_DSN") as refused:
        load_settings(EXTERNAL | {"WUNDR_KEYS_DSN": STORE})
    assert "store.test" not in str(refused.value)
