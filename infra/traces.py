"""Whether this process is traced, decided by settings and the standard variables `OTEL_*`."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import structlog

from infra.errors import TracingNotInstalled
from infra.settings import Settings
from streams.tracing import Tracing

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
DISABLED: Final = "OTEL_SDK_DISABLED"

log = structlog.get_logger(__name__)


def is_traced(settings: Settings, environment: Mapping[str, str]) -> bool:
    """Off unless `WUNDR_TRACES=on` or an OTLP endpoint is named; `off` wins over that."""
    if environment.get(DISABLED, "").strip().lower() == "true":
        return False
    if settings.traces is not None:
        return settings.traces
    return any(environment.get(name) for name in ENDPOINTS)


@contextmanager
def open_tracing(settings: Settings, service: str) -> Iterator[Tracing | None]:
    """What this process is traced by; None while traces are off. Sends what is left at the end.

    `service`: its name in the traces. Raises TracingNotInstalled.
    """
    if not is_traced(settings, os.environ):
        yield None
        return
    try:
        door = importlib.import_module("infra.open_telemetry")
    except ModuleNotFoundError as error:
        raise TracingNotInstalled from error
    tracer = door.exporting_tracer(service)
    log.info("traces are sent", service=service)
    try:
        yield Tracing(tracer)
    finally:
        tracer.close()
