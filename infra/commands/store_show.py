"""`wundr store show`: an aggregate as it is, or as it was at a version or a time."""

from __future__ import annotations

import asyncio
import importlib
import sys
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple

import orjson
import typer

from connectors.postgres.database import Database
from connectors.postgres.event_store import PostgresEventStore
from connectors.settings import PostgresSettings
from infra.commands.events import event_mapping, show_events
from infra.settings import load_settings
from infra.stack.local import require_endpoints
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event
from streams.aggregate import AggregateRoot, RootModel
from streams.aggregate_replay import replayed
from streams.decider import AggregateModel, Decider
from streams.errors import AggregateNotFound
from streams.event_store import LAST_VERSION
from streams.kafka.schema_topic import open_schemas
from streams.settings import KafkaSettings


class Target(NamedTuple):
    """Up to where an aggregate is shown; both open: as it is."""

    version: int | None = None
    time: datetime | None = None

    def holds(self, event: Event[Any]) -> bool:
        """Whether an event was there then."""
        version = None if event.aggregate is None else event.aggregate.version
        return (self.time is None or event.timestamp <= self.time) and (
            version is None or version <= (self.version or LAST_VERSION)
        )


class Shown(NamedTuple):
    """What is printed."""

    events: list[Event[Any]]
    version: int | None
    state: Any


def show(
    aggregate_type: Annotated[str, typer.Argument(metavar="TYPE", help="Such as Analysis.")],
    aggregate_id: Annotated[str, typer.Argument(metavar="ID")],
    *,
    at: Annotated[
        str | None, typer.Option(metavar="VERSION|TIME", help="As it was; times in ISO 8601.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="MODULE:NAME", help="A Decider or an AggregateRoot: its state, too."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Show an aggregate: its events, and its state where a model says how they are folded.

    Example: wundr store show Analysis a-1 --at 2 --model examples.analysis.decider:ANALYSIS
    """
    target = target_of(at)
    folding = None if model is None else model_of(model, aggregate_type)
    shown = asyncio.run(_shown(aggregate_type, aggregate_id, target, folding))
    if as_json:
        content = {
            "aggregate": {"type": aggregate_type, "id": aggregate_id, "version": shown.version},
            "events": [event_mapping(event) for event in shown.events],
            "state": state_mapping(shown.state),
        }
        sys.stdout.write(orjson.dumps(content, default=str).decode() + "\n")
        return
    show_events(shown.events, as_json=False)
    if folding is not None:
        state = orjson.dumps(state_mapping(shown.state), default=str, option=orjson.OPT_INDENT_2)
        sys.stdout.write(f"version {shown.version}\n{state.decode()}\n")


def target_of(at: str | None) -> Target:
    """A version where it is a number above zero, else a time; UTC where no zone is given."""
    if at is None:
        return Target()
    if at.isdecimal() and int(at) > 0:
        return Target(version=int(at))
    try:
        time = datetime.fromisoformat(at)
    except ValueError:
        raise typer.BadParameter(f"--at: {at!r} is neither a version nor a time") from None
    return Target(time=time if time.tzinfo else time.replace(tzinfo=UTC))


def model_of(path: str, aggregate_type: str) -> AggregateModel[Any, Any]:
    """The model at an import path `module:name`, which must be of this type."""
    module, _, name = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise typer.BadParameter(f"--model: {error}") from error
    if isinstance(found, type) and issubclass(found, AggregateRoot):
        found = RootModel(found)
    if not isinstance(found, Decider | RootModel) or found.aggregate_type != aggregate_type:
        raise typer.BadParameter(f"--model: {path} is no Decider or AggregateRoot {aggregate_type}")
    model: AggregateModel[Any, Any] = found
    return model


def state_mapping(state: Any) -> Any:
    """A state as JSON can show it."""
    if isinstance(state, AggregateRoot):
        # What begins with an underscore is the aggregate's bookkeeping, not its state.
        return {name: value for name, value in vars(state).items() if not name.startswith("_")}
    return asdict(state) if is_dataclass(state) and not isinstance(state, type) else state


async def _shown(
    aggregate_type: str,
    aggregate_id: str,
    target: Target,
    model: AggregateModel[Any, Any] | None,
) -> Shown:
    endpoints = require_endpoints(load_settings())
    kafka = KafkaSettings(bootstrap=endpoints.kafka_bootstrap, client_id="wundr-show")
    catalog = Catalog.load()
    codec = Codec(catalog, upcasts=True)
    async with (
        Database(PostgresSettings(dsn=endpoints.postgres_dsn)) as database,
        open_schemas(kafka, codec) as (schemas, _),
    ):
        store = PostgresEventStore(database, codec, schemas)
        found = await store.get_events(aggregate_type, aggregate_id, None, target.version)
        events = [event for event in found if target.holds(event)]
        if not events:
            raise AggregateNotFound(f"{aggregate_type}/{aggregate_id}")
        versions = [event.aggregate.version for event in events if event.aggregate is not None]
        if model is None:
            return Shown(events, versions[-1], None)
        then = await replayed(model, store, aggregate_id, target.version, target_time=target.time)
        return Shown(events, then.version, then.state)
