"""From the steps of sagas to the documents of one statement. Pure."""

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from connectors.errors import Unstorable
from connectors.event_row import event_row
from connectors.outbox import shard_of
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event
from schemas.framing import schema_id_of
from schemas.headers import traceparent
from streams.appending import Append
from streams.sagas.course import Step

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRows:
    """What one step writes. `appended` events are not in it: they need versions first."""

    step: Document
    events: Sequence[Document]
    appended: Sequence[Event[Any]]
    schema_ids: frozenset[int]
    deadlines: Sequence[Document]
    gone: Sequence[Document]


@dataclass(slots=True)
class StepDocuments:
    """Rows of steps of different courses, brought together."""

    steps: list[Document] = field(default_factory=list)
    events: list[Document] = field(default_factory=list)
    deadlines: list[Document] = field(default_factory=list)
    gone: list[Document] = field(default_factory=list)

    @classmethod
    def of(cls, rows: Iterable[StepRows]) -> "StepDocuments":
        """One document of each kind."""
        made = cls()
        for each in rows:
            made.steps.append(each.step)
            made.events += each.events
            made.deadlines += each.deadlines
            made.gone += each.gone
        return made

    def values(self) -> Mapping[str, str]:
        """The parameters of store_saga_steps, but for the names of app and saga."""
        events = [{**row, "ordinal": ordinal} for ordinal, row in enumerate(self.events)]
        return {
            "steps": json_text(self.steps),
            "events": json_text(events),
            "deadlines": json_text(self.deadlines),
            "gone": json_text(self.gone),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """Where a step is taken: which row its course is, its number, the deadline that brought it."""

    course: int
    number: int
    fired: str | None = None


def step_rows(catalog: Catalog, codec: Codec, stand: Stand, step: Step) -> StepRows:
    """The rows of a step.

    Raises SchemaError for an event that cannot be encoded, Unstorable for one that no column holds,
    so that nothing is refused later for the sake of one event.
    """
    published: list[Event[Any]] = []
    appended: list[Event[Any]] = []
    for event in step.events:
        (appended if catalog.get(event.type).appended else published).append(event)
    for event in appended:
        Append.of(catalog, [event], event.id)
        encoded = codec.encode(event)
        event_row(codec.as_stored(event, encoded), encoded, with_json=False)
    framed = [codec.encode(event) for event in published]
    return StepRows(
        step={
            "course": stand.course,
            "step": stand.number,
            "cause_id": _checked("id", step.cause.id),
            "base64": _base64(codec.encode(step.cause)),
            "status": step.status,
        },
        events=[_outbox_row(*pair) for pair in zip(published, framed, strict=True)],
        appended=appended,
        schema_ids=frozenset(map(schema_id_of, framed)),
        deadlines=_waiting(stand, step),
        gone=_gone(stand, step),
    )


def _waiting(stand: Stand, step: Step) -> Sequence[Document]:
    return [
        {
            "course": stand.course,
            "name": deadline.name,
            "set_by": step.cause.id,
            "after_s": deadline.after_s,
            "at": deadline.at,
        }
        for deadline in step.deadlines
    ]


def _gone(stand: Stand, step: Step) -> Sequence[Document]:
    """Deadlines that are not waited for any more; without a name, all of the course."""
    if step.status.is_over:
        return [{"course": stand.course, "name": None}]
    fired = () if stand.fired is None else (stand.fired,)
    set_again = {deadline.name for deadline in step.deadlines}
    names = {*step.cancelled, *fired} - set_again
    return [{"course": stand.course, "name": name} for name in sorted(names)]


def json_text(value: object) -> str:
    """A parameter that Postgres reads as JSON. Raises Unstorable for what is no text in it."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError as error:
        raise Unstorable(f"The step of a saga is no JSON: {error}.") from error


def _outbox_row(event: Event[Any], framed: bytes) -> Document:
    """An event without a version on its way to Kafka, as publish() would send it."""
    key = _checked("aggregate.id", event.key)
    aggregate = event.aggregate
    return {
        "shard": shard_of(key),
        "id": _checked("id", event.id),
        "aggregatetype": "" if aggregate is None else aggregate.type,
        "aggregateid": event.id if aggregate is None else aggregate.id,
        "type": event.type,
        "base64": _base64(framed),
        "topic": event.topic,
        "key": key,
        "traceparent": traceparent(event),
    }


def _base64(value: bytes) -> str:
    return b64encode(value).decode()


def _checked(path: str, value: str) -> str:
    if "\x00" in value:
        raise Unstorable(f"{path} holds a NUL character, which Postgres cannot store.")
    return value
