"""Where events of a type go and why. Pure: the catalog and the apps say all of it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from schemas.catalog import Catalog, EventType
from schemas.source import major_of
from schemas.topics import (
    BROADCAST_TOPICS,
    STORE_EVENTS,
    dead_letter_topic,
    repartition_topic,
    retry_topic,
)
from streams.app import App
from streams.handler import every_event
from streams.progress_evidence import sagas_of
from streams.projection import KeptIn, Projection


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing that is so, and why. `topic` groups facts, such as `handlers`."""

    topic: str
    what: str
    why: str = ""


ROOM_RULES: Mapping[str, str] = {
    "system": "to everybody with the right to the room system, for types under system.*",
    "project": "to project.<projectId>, where the data have one",
    "user": "to user.<userId>, by the data or else the metadata",
}


def explain(
    catalog: Catalog,
    event_type: str,
    apps: Iterable[App],
) -> list[Fact]:
    """All that follows from schema files and registrations. Raises UnknownEventType."""
    known = catalog.get(event_type)
    return [
        *_envelope(known),
        *_schemas(known, catalog),
        *_personal(known),
        *(fact for app in apps for fact in _app(app, known)),
        *_sinks(known),
        *_rooms(known),
    ]


def _envelope(known: EventType) -> Iterator[Fact]:
    yield Fact(topic="category", what=known.category.value, why="by the folder of its schema files")
    yield Fact(
        topic="priority",
        what=known.priority.label,
        why="by `priority` in its schema; it decides the lane",
    )
    yield Fact(topic="topic", what=known.topic, why="events.<category>.<priority>")
    yield Fact(topic="owner", what=known.owner, why="by `owner` in its schema")
    if known.aggregate_type is None:
        yield Fact(
            topic="key", what="the event's id", why="it is about no aggregate: no order to keep"
        )
    else:
        of = f"the field {known.key}" if known.key else "aggregate_id, given by who publishes"
        yield Fact(
            topic="key",
            what=f"{known.aggregate_type}/<id>",
            why=f"the id is {of}; events of one aggregate stay in order",
        )
    yield Fact(topic="partition", what="murmur2(key) mod partitions", why="as Kafka's Java clients")
    yield Fact(
        topic="written by",
        what="append(), then the relay" if known.appended else "publish()",
        why=f"{known.aggregate_type} is appended: the store counts its versions"
        if known.appended
        else "it has no versions",
    )


def _schemas(known: EventType, catalog: Catalog) -> Iterator[Fact]:
    for version in known.versions:
        schema = catalog.writer_schema(known.name, version)
        is_latest = version == known.latest
        why = (
            "the latest: what is written"
            if is_latest
            else f"read as {catalog.reader_version(known.name, version)}"
        )
        yield Fact(topic="schema", what=f"{version}, id {schema.id}", why=why)
    latest = major_of(known.latest)
    for name, major in sorted(catalog.upcasts):
        if name == known.name:
            yield Fact(
                topic="upcast",
                what=f"{major} to {major + 1}",
                why=f"on read: stored events of major {major} are seen as {latest}",
            )


def _personal(known: EventType) -> Iterator[Fact]:
    if known.personal:
        yield Fact(
            topic="personal",
            what=", ".join(known.personal),
            why=f"sealed with the key of the person in {known.subject}"
            if known.subject
            else "not encrypted: its schema names no subject; kept from browsers",
        )


def _app(app: App, known: EventType) -> Iterator[Fact]:
    for name in app.subscriptions():
        work = app.workload(name)
        for it in work.reactions:
            if it.wants(known.name):
                declines = "" if it.can_handle is every_event else "; may decline it (can_handle)"
                yield Fact(
                    topic="handler",
                    what=f"{work.group}/{it.name}",
                    why=f"its pattern is {it.pattern}{declines}",
                )
    sagas = [saga for saga in sagas_of(app) if known.name in saga.types]
    for saga in sagas:
        yield Fact(topic="saga", what=f"{saga.group}/{saga.subscription}", why="it names this type")
    takes = bool(sagas)
    for projection in app.projections:
        if projection.wants(known.name):
            takes = True
            yield _projection(app, projection)
    if takes or any(app.workload(it).wants(known.name) for it in app.subscriptions()):
        yield Fact(
            topic="failures",
            what=f"{retry_topic(app.name)}, then {dead_letter_topic(app.name)}",
            why=f"what {app.name} cannot handle waits there, in order for each aggregate",
        )


def _projection(app: App, projection: Projection) -> Fact:
    patterns = ", ".join(projection.patterns)
    if projection.kept_in is KeptIn.POSTGRES:
        return Fact(
            topic="projection",
            what=f"{app.name}/{projection.name}, rows in Postgres",
            why=f"on {patterns}; folded by `wundr project` from the store",
        )
    way = (
        "keyed as the record is"
        if projection.key is None
        else f"by a key of its own, over {repartition_topic(app.name, projection.name)}"
    )
    return Fact(
        topic="projection",
        what=f"{app.name}/{projection.name}, a table of the workers",
        why=f"on {patterns}; {way}",
    )


def _sinks(known: EventType) -> Sequence[Fact]:
    return [
        Fact(
            topic="sink",
            what=f"{STORE_EVENTS}, then PostgreSQL (events)",
            why="every event is archived by the platform and stored once"
            + ("; its row is there from the append on" if known.appended else ""),
        )
    ]


def _rooms(known: EventType) -> Iterator[Fact]:
    broadcast = known.broadcast
    if broadcast is None:
        yield Fact(topic="rooms", what="none", why="its schema has no `broadcast`")
        return
    topics = {name.removeprefix("broadcast."): name for name in BROADCAST_TOPICS}
    for rule in broadcast.rules:
        shown = ", ".join(broadcast.fields) or "no field of the data"
        yield Fact(topic="rooms", what=f"{topics[rule]}: {shown}", why=ROOM_RULES.get(rule, ""))
