"""Traces are off unless somebody asks for them."""

from __future__ import annotations

import pytest

from infra.errors import TracingNotInstalled
from infra.settings import load_settings
from infra.traces import is_traced, open_tracing

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}


@pytest.mark.parametrize(
    ("setting", "environment", "traced"),
    [
        ("", {}, False),
        ("", ENDPOINT, True),
        ("", {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, True),
        ("on", {}, True),
        ("off", ENDPOINT, False),
        ("on", {"OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_an_endpoint_or_the_setting_turns_traces_on(
    setting: str, environment: dict[str, str], *, traced: bool
) -> None:
    settings = load_settings({"WUNDR_TRACES": setting})
    assert is_traced(settings, environment) is traced


def test_while_traces_are_off_there_is_nothing() -> None:
    with open_tracing(load_settings({"WUNDR_TRACES": "off"}), "tests") as tracing:
        assert tracing is None


def test_a_missing_package_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.traces.importlib.import_module", _missing)
    monkeypatch.delenv("OTEL_SDK_DISABLED", raising=False)
    with (
        pytest.raises(TracingNotInstalled) as raised,
        open_tracing(load_settings({"WUNDR_TRACES": "on"}), "tests"),
    ):
        pytest.fail("it is not installed")
    assert "wundr-events[tracing]" in raised.value.remedy


def _missing(name: str) -> None:
    raise ModuleNotFoundError(name)
