"""Settings report every fault at once and keep secrets to themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.errors import SettingsInvalid
from infra.settings import ProviderName, load_settings

SECRET = "a-secret-that-nobody-may-see"
DSN = f"postgresql://user:{SECRET}@db:5432/events"


def test_the_defaults_run_the_local_stack_in_the_working_folder() -> None:
    settings = load_settings({})
    assert settings.provider is ProviderName.AUTO
    assert settings.state_dir == Path(".wundr")
    assert settings.partitions == 4


def test_all_faults_are_reported_at_once() -> None:
    environment = {
        "WUNDR_PARTITIONS": "many",
        "WUNDR_KAFKA_BOOTSTRAP": "no-port",
        "WUNDR_POSTGRES_DSN": f"mysql://user:{SECRET}@db/events",
        "WUNDR_JWT_SECRET": SECRET[:12],
        "WUNDR_GATEWAY_PORT": "70000",
        "WUNDR_PROVIDER": "cloud",
        "WUNDR_PARTITON": "4",
    }
    with pytest.raises(SettingsInvalid) as refused:
        load_settings(environment)
    named = {fault.split(":")[0] for fault in refused.value.faults}
    assert named == set(environment)
    assert "did you mean WUNDR_PARTITIONS?" in str(refused.value)


def test_a_fault_never_shows_the_value_of_a_secret() -> None:
    environment = {"WUNDR_POSTGRES_DSN": f"mysql://{SECRET}", "WUNDR_JWT_SECRET": SECRET[:12]}
    with pytest.raises(SettingsInvalid) as refused:
        load_settings(environment)
    assert SECRET[:12] not in f"{refused.value!r} {refused.value}"


def test_secrets_are_not_in_the_repr() -> None:
    settings = load_settings(
        {"WUNDR_KAFKA_BOOTSTRAP": "kafka:9092", "WUNDR_POSTGRES_DSN": DSN, "WUNDR_JWT_SECRET": DSN}
    )
    assert SECRET not in repr(settings)
    assert settings.postgres_dsn is not None
    assert settings.postgres_dsn.get_secret_value() == DSN


@pytest.mark.parametrize(
    ("environment", "missing"),
    [
        ({"WUNDR_KAFKA_BOOTSTRAP": "kafka:9092"}, "WUNDR_POSTGRES_DSN"),
        ({"WUNDR_POSTGRES_DSN": DSN}, "WUNDR_KAFKA_BOOTSTRAP"),
        ({"WUNDR_PROVIDER": "external"}, "WUNDR_KAFKA_BOOTSTRAP and WUNDR_POSTGRES_DSN"),
    ],
)
def test_external_servers_need_both_addresses(environment: dict[str, str], missing: str) -> None:
    with pytest.raises(SettingsInvalid, match=f"{missing}: missing"):
        load_settings(environment)


def test_the_command_line_wins_over_the_environment() -> None:
    settings = load_settings({"WUNDR_PROVIDER": "docker"}, provider=ProviderName.EMBEDDED)
    assert settings.provider is ProviderName.EMBEDDED


def test_an_absent_override_leaves_the_environment_alone() -> None:
    assert load_settings({"WUNDR_PROVIDER": "docker"}, provider=None).provider == "docker"


def test_variables_of_the_start_script_and_of_the_tests_are_no_faults() -> None:
    load_settings({"WUNDR_HOME": "/somewhere", "WUNDR_TEST_KAFKA": "kafka:9092", "PATH": "/bin"})
    load_settings({"WUNDR_PURE": "1"})
