"""Log lines are JSON for programs, and say which event they are about."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from infra.errors import SettingsInvalid
from infra.logs import configure_logging, logging_as_set
from infra.settings import LogFormat, LogLevel, load_settings
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.envelope import Metadata
from schemas.event import EventFactory
from schemas.events.domain import AnalysisStarted
from streams.app import App
from streams.context import BatchContext, Context
from streams.records import TopicPartition
from tests.unit.streams.bench import NOW, Bench

CATALOG = Catalog.load()
STARTED = EventFactory(CATALOG, "test", clock=lambda: NOW).create(
    AnalysisStarted(analysis_id="a", project_id="p", package="json", files=1, root="lib"),
    aggregate_id="a",
    metadata=Metadata(trace_id="4bf92f3577b34da6a3ce929d0e0e4736"),
)
NAMED = {
    "event_id": STARTED.id,
    "event_type": "analysis.started",
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    "subscription": "team.main",
}
Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    """Log as JSON; gives the lines that were written."""
    written = io.StringIO()
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", written)
        configure_logging(LogFormat.JSON, LogLevel.INFO)
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    structlog.configure(**before)
    root.handlers = handlers
    root.setLevel(level)


async def handled_by(app: App) -> None:
    """Give the event to an app."""
    bench = Bench(CATALOG, Codec(CATALOG), EventFactory(CATALOG, "test"))
    record = bench.record(STARTED)
    processor = bench.processor(app)
    processor.metrics.subscription = "team.main"
    await processor.process(TopicPartition(record.topic, 0), [record])
    await bench.redo()
    structlog.get_logger().info("after")


async def test_a_line_of_a_handler_that_does_not_wait_names_its_event(lines: Lines) -> None:
    app = App("team")

    @app.on("analysis.started")
    async def look(event: Any, context: Context) -> None:
        structlog.get_logger().info("seen")
        logging.getLogger("team").info("seen, too")

    await handled_by(app)
    seen, too, after = lines()
    for line in (seen, too):
        assert {name: line.get(name) for name in NAMED} == NAMED
        assert line["handler"] == "look"
    assert "event_id" not in after


async def test_a_line_behind_a_wait_and_one_of_a_second_try_name_it_as_well(lines: Lines) -> None:
    app = App("team")
    tries: list[int] = []

    @app.on("analysis.started")
    async def look(event: Any, context: Context) -> None:
        tries.append(1)
        await asyncio.sleep(0)
        structlog.get_logger().info("seen")
        if len(tries) == 1:
            raise ValueError("no")

    await handled_by(app)
    first, second, after = lines()
    for line in (first, second):
        assert {name: line.get(name) for name in NAMED} == NAMED
    assert "event_id" not in after


async def test_lines_of_several_waiting_handlers_are_not_mixed_up(lines: Lines) -> None:
    app = App("team")

    @app.on("analysis.started")
    async def one(event: Any, context: Context) -> None:
        await asyncio.sleep(0)
        structlog.get_logger().info("one")

    @app.on("analysis.started")
    async def two(event: Any, context: Context) -> None:
        structlog.get_logger().info("two")

    await asyncio.gather(handled_by(app), handled_by(app))
    told = [(line["event"], line.get("handler")) for line in lines()]
    assert sorted(it for it in told if it[0] != "after") == [
        *(2 * [("one", "one")]),
        *(2 * [("two", "two")]),
    ]


async def test_a_line_of_a_batch_names_its_handler(lines: Lines) -> None:
    app = App("team")

    @app.on("analysis.started", batch=True)
    async def all_of_them(events: Any, context: BatchContext) -> None:
        structlog.get_logger().info("seen")

    await handled_by(app)
    assert lines()[0]["handler"] == "all_of_them"


def test_the_environment_chooses_the_format_and_the_level() -> None:
    settings = load_settings({"WUNDR_LOG": "json", "WUNDR_LOG_LEVEL": "warning"})
    assert (settings.log, settings.log_level) == (LogFormat.JSON, LogLevel.WARNING)
    with pytest.raises(SettingsInvalid) as refused:
        load_settings({"WUNDR_LOG": "xml", "WUNDR_LOG_LEVEL": "loud"})
    assert {fault.split(":")[0] for fault in refused.value.faults} == {
        "WUNDR_LOG",
        "WUNDR_LOG_LEVEL",
    }


def test_lines_below_the_level_are_left_out(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", written)
        logging_as_set({"WUNDR_LOG": "json", "WUNDR_LOG_LEVEL": "warning"})
    structlog.get_logger().info("left out")
    logging.getLogger("team").info("left out")
    structlog.get_logger().warning("kept")
    assert [json.loads(line)["event"] for line in written.getvalue().splitlines()] == ["kept"]
