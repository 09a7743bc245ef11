"""What can go wrong while the platform is set up and run.

WundrError
└── InfraError
    ├── SettingsInvalid      every faulty setting at once
    ├── KeysNotConfigured
    ├── TracingNotInstalled
    ├── BrokerUnreachable
    ├── UnknownBreaker
    ├── UnknownLetterApp     no app of this name has topics of letters
    ├── TopicPlanRefused     a change that would lose or mix up events
    └── StackError
        ├── ProviderUnavailable
        ├── PortTaken
        ├── DownloadFailed
        ├── ServerDidNotStart
        └── StackNotRunning
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from schemas.errors import WundrError


class InfraError(WundrError):
    """The platform could not be set up or run."""

    code: ClassVar[str] = "infra"


class SettingsInvalid(InfraError):
    """Some settings are not valid."""

    code = "settings_invalid"
    remedy = "Correct the environment variables named above, then start again."

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("These settings are not valid: " + "; ".join(faults))
        self.faults = tuple(faults)


class KeysNotConfigured(InfraError):
    """No database of keys is named, so no personal data are under lock."""

    code = "keys_not_configured"
    remedy = "Set WUNDR_KEYS_DSN to the database that the publishing processes use."


class TracingNotInstalled(InfraError):
    """Traces are asked for, and OpenTelemetry is not installed."""

    code = "tracing_not_installed"
    remedy = "Install `wundr-events[tracing]`, or set WUNDR_TRACES=off."


class BrokerUnreachable(InfraError):
    """The Kafka broker does not answer."""

    code = "broker_unreachable"
    retryable = True
    remedy = "Run `wundr status`, then `wundr up`."


class UnknownBreaker(InfraError):
    """No handler of the app has a breaker of this name."""

    code = "unknown_breaker"
    remedy = "`wundr breaker list APP` names them; a handler has one by `Breaker(NAME)`."


class UnknownLetterApp(InfraError):
    """No app of this name keeps letters."""

    code = "unknown_letter_app"
    remedy = (
        "Give the name of an app, which is not its import path; "
        "`wundr topics apply MODULE` makes the topics of an app that has none yet."
    )

    def __init__(self, app: str, known: Sequence[str]) -> None:
        there = f"only {', '.join(known)}" if known else "and no other does"
        super().__init__(f"no app {app!r} keeps letters on this cluster, {there}")


class TopicPlanRefused(InfraError):
    """The topics cannot be changed as planned."""

    code = "topic_plan_refused"
    remedy = "Run `wundr topics plan`; a partition count is changed by a migration, never in place."


class StackError(InfraError):
    """The local stack could not be started or stopped."""

    code = "stack"
    remedy = "Run `wundr doctor`."


class ProviderUnavailable(StackError):
    """No provider of Kafka and PostgreSQL is usable here."""

    code = "provider_unavailable"
    remedy = "Set WUNDR_KAFKA_BOOTSTRAP and WUNDR_POSTGRES_DSN to use running servers."


class PortTaken(StackError):
    """A port that the settings ask for is in use."""

    code = "port_taken"
    remedy = "End the program that holds the port, or unset the setting to have a free one chosen."

    def __init__(self, setting: str, port: int) -> None:
        super().__init__(f"Port {port} ({setting}) is in use by another program.")
        self.setting = setting
        self.port = port


class DownloadFailed(StackError):
    """A part of Kafka could not be downloaded."""

    code = "download_failed"
    retryable = True
    remedy = "Check the connection to Maven Central (proxy settings are honoured), then try again."


class ServerDidNotStart(StackError):
    """A server of the local stack did not become ready."""

    code = "server_did_not_start"
    retryable = True
    remedy = "Read the log named above, then run `wundr doctor`."

    def __init__(self, server: str, reason: str, log: Path) -> None:
        super().__init__(f"{server} did not start: {reason}. Log: {log}")
        self.log = log


class StackNotRunning(StackError):
    """No local stack is running for this folder."""

    code = "stack_not_running"
    remedy = "Run `wundr up`."
