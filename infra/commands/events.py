"""`wundr events`: look at stored events, watch new ones, publish one by hand."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from connectors.postgres.database import Database
from connectors.postgres.event_store import PostgresEventStore
from connectors.settings import PostgresSettings
from infra.commands.events_explain import explain
from infra.commands.events_trace import trace
from infra.given_patterns import given_pattern
from infra.keys import open_keys
from infra.settings import load_settings
from infra.stack.endpoints import Endpoints
from infra.stack.local import require_endpoints
from infra.traces import open_tracing
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event, EventFactory
from schemas.pattern import matches
from streams.kafka.reader import KafkaReader
from streams.kafka.schema_topic import open_schemas
from streams.publisher import EventPublisher
from streams.reading import EventReading, Unreadable
from streams.settings import KafkaSettings
from streams.traced import in_trace, traced_sender

app = typer.Typer(add_completion=False, no_args_is_help=True)
app.command()(trace)
app.command()(explain)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]


@app.command()
def get(
    event_id: Annotated[str | None, typer.Argument(metavar="ID")] = None,
    *,
    correlation: Annotated[str | None, typer.Option(help="All events of one request.")] = None,
    aggregate: Annotated[str | None, typer.Option(help="An aggregate's history, by id.")] = None,
    as_json: AsJson = False,
) -> None:
    """Read stored events by id, by correlation or by aggregate.

    Example: wundr events get --aggregate Lib/asyncio/queues.py --json
    """
    if sum(given is not None for given in (event_id, correlation, aggregate)) != 1:
        raise typer.BadParameter("give one of ID, --correlation and --aggregate")
    show_events(asyncio.run(_stored(event_id, correlation, aggregate)), as_json=as_json)


@app.command()
def tail(
    pattern: Annotated[str, typer.Option("--type", help="Such as analysis.* or *.")] = "*",
    count: Annotated[int, typer.Option("-n", min=0, help="End after so many; 0: go on.")] = 0,
    *,
    from_start: Annotated[bool, typer.Option(help="Begin with the oldest kept event.")] = False,
    as_json: AsJson = False,
) -> None:
    """Watch events arrive, until Ctrl-C.

    Example: wundr events tail --type "analysis.*" --json
    """
    asyncio.run(_tail(given_pattern(pattern), count, from_start=from_start, as_json=as_json))


@app.command()
def publish(
    event_type: Annotated[str, typer.Argument(metavar="TYPE")],
    data: Annotated[str, typer.Argument(metavar="JSON", help="The data; - reads stdin.")],
    *,
    aggregate: Annotated[str | None, typer.Option(help="Id of the aggregate.")] = None,
    as_json: AsJson = False,
) -> None:
    """Publish one event and wait for its acknowledgement.

    Example: wundr events publish system.worker.started '{"process": "p", "host": "h", "pid": 1}'
    """
    try:
        payload = json.loads(sys.stdin.read() if data == "-" else data)
    except ValueError as error:
        raise typer.BadParameter(f"the data is not JSON: {error}") from error
    if not isinstance(payload, dict):
        raise typer.BadParameter("the data is not a JSON object")
    show_events([asyncio.run(_publish(event_type, payload, aggregate))], as_json=as_json)


async def _stored(
    event_id: str | None, correlation: str | None, aggregate: str | None
) -> list[Event[Any]]:
    endpoints = _endpoints()
    kafka = KafkaSettings(bootstrap=endpoints.kafka_bootstrap, client_id="wundr-get")
    codec = Codec(Catalog.load())
    async with (
        Database(PostgresSettings(dsn=endpoints.postgres_dsn)) as database,
        open_schemas(kafka, codec) as (schemas, _),
    ):
        store = PostgresEventStore(database, codec, schemas)
        if event_id is not None:
            return [await store.get_event(event_id)]
        if correlation is not None:
            return await store.get_events_by_correlation(correlation)
        return await store.get_events(None, aggregate or "")


async def _tail(pattern: str, count: int, *, from_start: bool, as_json: bool) -> None:
    seen = 0
    async for event in _arriving(pattern, from_start=from_start):
        show_events([event], as_json=as_json)
        seen += 1
        if seen == count:
            return


async def _arriving(pattern: str, *, from_start: bool) -> AsyncIterator[Event[Any]]:
    kafka = KafkaSettings(bootstrap=_endpoints().kafka_bootstrap, client_id="wundr-tail")
    catalog = Catalog.load()
    async with AsyncExitStack() as closing:
        codec = Codec(catalog)
        schemas, _ = await closing.enter_async_context(open_schemas(kafka, codec))
        reader = KafkaReader(kafka, catalog.topics_for([pattern]))
        closing.push_async_callback(reader.close)
        await reader.start()
        starts = await reader.beginning() if from_start else await reader.end()
        for source, offset in starts.items():
            reader.seek(source, offset)
        reading = EventReading(codec, schemas, wants=lambda name: matches(pattern, name))
        while True:
            for records in (await reader.read()).values():
                for record in records:
                    event = await reading.read(record)
                    if isinstance(event, Unreadable):
                        _note(f"{record.source}/{record.offset}: {event.error.message}")
                    elif event is not None:
                        yield event


async def _publish(event_type: str, data: dict[str, Any], aggregate: str | None) -> Event[Any]:
    catalog = Catalog.load()
    event = EventFactory(catalog, source="wundr-events-publish").create_from_mapping(
        event_type, data, aggregate_id=aggregate
    )
    kafka = KafkaSettings(bootstrap=_endpoints().kafka_bootstrap, client_id="wundr-publish")
    settings = load_settings()
    keys = open_keys(settings, require_endpoints(settings))
    codec = Codec(catalog, keys=keys)
    async with open_schemas(kafka, codec) as (schemas, sender):
        with open_tracing(settings, "wundr-events-publish") as tracing:
            publisher = EventPublisher(catalog, codec, traced_sender(sender, tracing), schemas)
            event = in_trace(event, tracing)
            await (await publisher.publish(event))
    return event


def _endpoints() -> Endpoints:
    return require_endpoints(load_settings())


def show_events(events: Iterable[Event[Any]], *, as_json: bool) -> None:
    """Print events to stdout: one JSON object a line, or a table."""
    if as_json:
        for event in events:
            sys.stdout.write(json.dumps(event_mapping(event), default=str) + "\n")
        sys.stdout.flush()
        return
    table = Table("time", "type", "aggregate", "data", box=None, show_header=sys.stdout.isatty())
    for event in events:
        aggregate = "" if event.aggregate is None else event.key
        time = event.timestamp.strftime("%H:%M:%S.%f")[:-3]
        table.add_row(time, event.type, aggregate, json.dumps(dict(event.payload), default=str))
    Console().print(table)


def event_mapping(event: Event[Any]) -> dict[str, Any]:
    """An event under its wire names, times in ISO 8601."""
    aggregate = event.aggregate
    return {
        "id": event.id,
        "type": event.type,
        "category": event.category.value,
        "priority": event.priority.label,
        "version": event.version,
        "timestamp": event.timestamp.isoformat(timespec="milliseconds"),
        "source": event.source,
        "correlationId": event.correlation_id,
        "causationId": event.causation_id,
        "aggregate": None
        if aggregate is None
        else {"type": aggregate.type, "id": aggregate.id, "version": aggregate.version},
        "metadata": {
            "userId": event.metadata.user_id,
            "traceId": event.metadata.trace_id,
            "retryCount": event.metadata.retry_count,
            "extra": dict(event.metadata.extra),
        },
        "data": dict(event.payload),
    }


def _note(text: str) -> None:
    sys.stderr.write(f"{text}\n")
