"""From the steps of sagas to the documents of one statement. Pure."""

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from connectors.errors import Unstorable
from connectors.outbox import shard_of
from schemas.codec import Codec
from schemas.event import Event
from schemas.framing import schema_id_of
from schemas.headers import traceparent
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


def step_rows(
    codec: Codec,
    appended_types: frozenset[str],
    place: tuple[int, int],
    step: Step,
    fired: str | None,
) -> StepRows:
    """The rows of a step at (course, number); `fired` is the deadline that brought it about.

    Raises SchemaError for an event that cannot be encoded, Unstorable for one that no column holds.
    """
    course, number = place
    set_again = {deadline.name for deadline in step.deadlines}
    gone = {*step.cancelled, *(() if fired is None else (fired,))} - set_again
    published = [event for event in step.events if event.type not in appended_types]
    framed = [codec.encode(event) for event in published]
    return StepRows(
        step={
            "course": course,
            "step": number,
            "cause_id": _checked("id", step.cause.id),
            "base64": _base64(codec.encode(step.cause)),
            "status": step.status,
        },
        events=[_outbox_row(*pair) for pair in zip(published, framed, strict=True)],
        appended=[event for event in step.events if event.type in appended_types],
        schema_ids=frozenset(map(schema_id_of, framed)),
        deadlines=[
            {
                "course": course,
                "name": deadline.name,
                "set_by": step.cause.id,
                "after_s": deadline.after_s,
                "at": deadline.at,
            }
            for deadline in step.deadlines
        ],
        gone=[{"course": course, "name": None}]
        if step.status.is_over
        else [{"course": course, "name": name} for name in sorted(gone)],
    )


def json_text(value: object) -> str:
    """A parameter that Postgres reads as JSON."""
    return orjson.dumps(value).decode()


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
