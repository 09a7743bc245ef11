"""The settings of one installation, read from `WUNDR_*` environment variables.

Every fault is reported at once; a secret never appears in a message or a repr.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from infra.errors import SettingsInvalid
from schemas import native

PREFIX = "WUNDR_"
# Read by the start script, by the tests, and before there are settings.
_RESERVED = ("WUNDR_HOME", "WUNDR_TEST_", native.SWITCH)
_SECRET_MIN_LENGTH = 32


class ProviderName(StrEnum):
    """Where Kafka and PostgreSQL come from."""

    AUTO = "auto"
    EXTERNAL = "external"
    EMBEDDED = "embedded"
    DOCKER = "docker"


class LogFormat(StrEnum):
    """How log lines are written."""

    AUTO = "auto"
    """JSON unless stderr is a terminal."""
    JSON = "json"
    TEXT = "text"


class LogLevel(StrEnum):
    """The log lines below it are left out."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def _bootstrap(value: str) -> str:
    for address in value.split(","):
        host, _, port = address.strip().rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError("write it as host:port, several with commas between them")
    return value


def _dsn(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().startswith(("postgresql://", "postgres://")):
        raise ValueError("write it as postgresql://user:password@host:port/database")
    return value


def _web_address(value: SecretStr) -> SecretStr:
    try:
        parts = urlsplit(value.get_secret_value())
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:  # whose text may hold the address
        is_address = False
    if not is_address:
        raise ValueError("write it as https://host/path")
    return value


def _jwt_secret(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < _SECRET_MIN_LENGTH:
        raise ValueError(f"a signing key needs at least {_SECRET_MIN_LENGTH} characters")
    return value


Port = Annotated[int, Field(ge=1, le=65535)]


class Settings(BaseSettings):
    """Everything an operator may set; the defaults run the local stack in the working folder."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True
    )

    provider: ProviderName = ProviderName.AUTO
    state_dir: Path = Path(".wundr")
    kafka_bootstrap: Annotated[str, AfterValidator(_bootstrap)] | None = None
    postgres_dsn: Annotated[SecretStr, AfterValidator(_dsn)] | None = None
    keys_dsn: Annotated[SecretStr, AfterValidator(_dsn)] | None = None
    """Database of the keys of personal data, never that of the event store; a stack of this folder
    has one of its own."""
    postgres_roles: bool = False
    """Whether the services take on the roles of the migrations, which may change no event."""
    kafka_port: Port | None = None
    """Port of the local broker; a free one is chosen when unset."""
    partitions: Annotated[int, Field(ge=1, le=1024)] = 4
    gateway_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Port of the gateway; 0 chooses a free one."""
    jwt_secret: Annotated[SecretStr, AfterValidator(_jwt_secret)] | None = None
    log: LogFormat = LogFormat.AUTO
    log_level: LogLevel = LogLevel.INFO

    traces: bool | None = None
    """Whether OpenTelemetry traces are sent; unset, an OTLP endpoint in `OTEL_*` decides."""
    alert_webhook: Annotated[SecretStr, AfterValidator(_web_address)] | None = None
    """Where alerts are posted as JSON; without, they are log lines and events."""

    @model_validator(mode="after")
    def _external_needs_both(self) -> Settings:
        given = (self.kafka_bootstrap is not None, self.postgres_dsn is not None)
        if any(given) != all(given):
            missing = "KAFKA_BOOTSTRAP" if given[1] else "POSTGRES_DSN"
            raise ValueError(f"{PREFIX}{missing}: missing, external servers need both addresses")
        if self.provider is ProviderName.EXTERNAL and not all(given):
            raise ValueError(
                f"{PREFIX}KAFKA_BOOTSTRAP and {PREFIX}POSTGRES_DSN: missing, provider external "
                "needs both addresses"
            )
        return self

    @model_validator(mode="after")
    def _keys_are_apart(self) -> Settings:
        if self.keys_dsn is not None and self.keys_dsn == self.postgres_dsn:
            raise ValueError(
                f"{PREFIX}KEYS_DSN: is that of the event store, whose backups would bring deleted "
                "keys back; give the keys a database of their own"
            )
        return self


def load_settings(environment: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Read the settings; `overrides` (from the command line) win over the environment.

    Raises SettingsInvalid with every fault, unknown `WUNDR_*` variables among them.
    """
    given = os.environ if environment is None else environment
    faults = _unknown_variables(given)
    values = _values(given) | {name: v for name, v in overrides.items() if v is not None}
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        faults += [_fault(detail) for detail in error.errors(include_url=False)]
        raise SettingsInvalid(faults) from None
    if faults:
        raise SettingsInvalid(faults)
    return settings


def _values(environment: Mapping[str, str]) -> dict[str, Any]:
    names = {PREFIX + name.upper(): name for name in Settings.model_fields}
    return {names[key]: value for key, value in environment.items() if key in names and value}


def _unknown_variables(environment: Mapping[str, str]) -> list[str]:
    known = [PREFIX + name.upper() for name in Settings.model_fields]
    faults = []
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in known and not name.startswith(_RESERVED):
            near = difflib.get_close_matches(name, known, n=1)
            faults.append(
                f"{name}: no such setting" + (f", did you mean {near[0]}?" if near else "")
            )
    return faults


def _fault(detail: Mapping[str, Any]) -> str:
    location: Sequence[Any] = detail["loc"]
    message = str(detail["msg"]).removeprefix("Value error, ")
    # The value itself is never shown: it may be a secret, or an address that holds one.
    return f"{PREFIX}{str(location[0]).upper()}: {message}" if location else message
