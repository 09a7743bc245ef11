"""Letters as people and machines see them: one row each, or everything of one. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from infra.commands.events import event_mapping
from schemas.errors import NotAnEvent, WundrError
from schemas.event import Event
from schemas.framing import schema_id_of
from schemas.json_data import to_json
from streams.parking.letter import Letter
from streams.parking.letters import Backlog, Letters
from streams.parking.ordering import Ordered, Outcome
from streams.parking.selection import Group

DUMPED_BYTES: Final = 256
"""How much of bytes that are no event is shown."""

DUMP_WIDTH: Final = 16
BEHIND_SHOWN: Final = 100
"""How many of those behind a letter are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """What the bytes of a letter are: an event, or not, for a reason."""

    event: Event[Any] | None
    error: WundrError | None = None


def row(letter: Letter, backlog: Backlog, letters: Letters) -> dict[str, Any]:
    """What a list says of one letter."""
    order = letters.order_about(letter.id)
    return {
        "id": letter.id,
        "app": letter.app,
        "subscription": letter.group,
        "handler": letter.handler,
        "state": letter.state.value,
        "type": letter.event_type,
        "eventId": letter.event_id,
        "reason": letter.reason,
        "lastError": letter.last_error,
        "tries": letter.tries,
        "since": _time(letter.failed_at),
        "dueAt": _time(letter.due_at),
        "behind": backlog.count_behind(letter),
        "order": None if order is None else order.kind.value,
    }


def group_row(group: Group, by: str) -> dict[str, Any]:
    """What a list says of a group."""
    return {
        by: group.name,
        "parked": group.parked,
        "waiting": group.waiting,
        "behind": group.behind,
        "since": _time(group.since),
    }


def whole(
    letter: Letter, decoded: Decoded, backlog: Backlog, letters: Letters
) -> Mapping[str, Any]:
    """Everything of one letter; what failed stands in the metadata of its event."""
    record = letter.record
    behind = backlog.behind(letter)
    value = record.value or b""
    return {
        **row(letter, backlog, letters),
        "alone": letter.is_alone,
        "editedAt": _time(letter.edited_at),
        "event": _event(letter, decoded),
        "undecodable": None if decoded.error is None else _reason(decoded.error),
        "dump": None if decoded.error is None else dump(value),
        "bytes": len(value),
        "schemaId": _schema_id(value),
        "key": None if record.key is None else _text(record.key),
        "headers": {name: _text(content) for name, content in record.headers},
        "position": {
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "timestampMs": record.timestamp_ms,
        },
        "origin": record.origin.encode().decode(),
        "waitsBehind": [it.id for it in behind[:BEHIND_SHOWN]],
    }


def ordered_row(ordered: Ordered) -> dict[str, Any]:
    """What became of one letter."""
    now = ordered.now
    return {
        "id": ordered.before.id,
        "outcome": ordered.outcome.value,
        "reason": None if now is None else now.reason,
        "lastError": None if now is None else now.last_error,
        "tries": ordered.before.tries if now is None else now.tries,
    }


def order_summary(kind: str, ordered: Sequence[Ordered]) -> dict[str, Any]:
    """What became of all letters; those that have ended are counted only."""
    counts = dict.fromkeys(Outcome, 0)
    for it in ordered:
        counts[it.outcome] += 1
    return {
        "order": kind,
        "ordered": len(ordered),
        "done": counts[Outcome.DONE],
        "failedAgain": counts[Outcome.FAILED] + counts[Outcome.WAITING],
        "putAside": counts[Outcome.LEFT],
        "open": counts[Outcome.ORDERED],
        "letters": [ordered_row(it) for it in ordered if it.outcome is not Outcome.DONE],
    }


def dump(value: bytes) -> list[str]:
    """The beginning of bytes, as offsets, hexadecimal digits, and the characters among them."""
    lines = []
    for begin in range(0, min(len(value), DUMPED_BYTES), DUMP_WIDTH):
        part = value[begin : min(begin + DUMP_WIDTH, DUMPED_BYTES)]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{begin:06x}  {part.hex(' '):<{DUMP_WIDTH * 3 - 1}}  {text}")
    return lines


def _event(letter: Letter, decoded: Decoded) -> Mapping[str, Any]:
    """The event, with the metadata that the ADR gives one that failed."""
    failure = {
        "retryCount": letter.tries,
        "lastError": letter.last_error,
        "deadLetteredAt": _time(letter.failed_at),
    }
    if decoded.event is None:
        return {"id": letter.event_id, "type": letter.event_type, "metadata": failure, "data": None}
    mapping = event_mapping(decoded.event)
    metadata = {**mapping["metadata"], **failure}
    return {**mapping, "metadata": metadata, "data": to_json(mapping["data"])}


def _reason(error: WundrError) -> str:
    return f"{error.code}: {error.message}"


def _schema_id(value: bytes) -> int | None:
    try:
        return schema_id_of(value)
    except NotAnEvent:
        return None


def _text(content: bytes) -> str:
    """Bytes that are meant to be read, with marks for what is no text."""
    return content.decode(errors="backslashreplace")


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="milliseconds")
