"""Records by the hundred thousand: events encoded once, then stamped with what differs. Pure.

What is stamped has a fixed length, so the bytes around it stay: id, correlation id (it carries the
time at which an event is due) and aggregate. The number that handlers read comes from one of a few
samples.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from benchmarks.contract import event_sum
from benchmarks.repositories import SAMPLES, files_of, repository_id
from benchmarks.samples import event_factory
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event, EventData
from schemas.events.integration import IntegrationRepositorySynced
from schemas.events.system import SystemRunStarted
from schemas.headers import CE_ID, event_headers

_ID: Final = "01940000-0000-7000-8000-5e5e5e5e5e5e"
_DUE: Final = "7777777777777777777"
_AGGREGATE: Final = repository_id(999_999_999_999)
_MARKS: Final = re.compile(b"|".join(mark.encode() for mark in (_ID, _DUE, _AGGREGATE)))

Headers = list[tuple[str, bytes]]


class Stamped(NamedTuple):
    """A record that is ready to be sent."""

    key: bytes
    value: bytes
    headers: Headers


class _Sample:
    """The bytes of one event, cut at the marks."""

    def __init__(self, value: bytes, headers: Headers) -> None:
        self._pieces = _MARKS.split(value)
        self._marks = [mark.decode() for mark in _MARKS.findall(value)]
        self._headers = headers

    def stamped(self, texts: dict[str, bytes]) -> tuple[bytes, Headers]:
        """The event with these texts in the places of the marks."""
        parts = [self._pieces[0]]
        for mark, piece in zip(self._marks, self._pieces[1:], strict=True):
            parts += (texts[mark], piece)
        headers = [
            (name, texts[_ID] if name == CE_ID else content) for name, content in self._headers
        ]
        return b"".join(parts), headers


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """Makes the records of one event type."""

    topic: str
    event_type: str
    _numbers: Sequence[int]
    _samples: Sequence[_Sample]
    _has_aggregate: bool

    def record(self, number: int, aggregate: int = 0, due_ns: int = 0) -> Stamped:
        """Event `number` of its run; two with one number are the same event to every reader."""
        event_id = _id_text(number).encode()
        aggregate_id = repository_id(aggregate).encode()
        texts = {_ID: event_id, _DUE: b"%019d" % due_ns, _AGGREGATE: aggregate_id}
        value, headers = self._samples[number % SAMPLES].stamped(texts)
        key = b"Repository/" + aggregate_id if self._has_aggregate else event_id
        return Stamped(key, value, headers)

    def adds(self, number: int, aggregate: int = 0) -> int:
        """What this event adds to a checksum."""
        aggregate_id = repository_id(aggregate) if self._has_aggregate else ""
        return event_sum(self.event_type, aggregate_id, self._numbers[number % SAMPLES])


def repositories_stamp(catalog: Catalog) -> Stamp:
    """`integration.repository.synced`, which is NORMAL: handlers read `files`."""
    return _stamp(
        catalog,
        lambda number: IntegrationRepositorySynced(
            repository=_AGGREGATE,
            project_id=f"project-{number % 3}",
            files=number,
            bytes=number * 5_000,
        ),
        aggregate_id=_AGGREGATE,
    )


def runs_stamp(catalog: Catalog) -> Stamp:
    """`system.run.started`, which is CRITICAL and has no aggregate: handlers read `files`."""
    return _stamp(
        catalog,
        lambda number: SystemRunStarted(
            run_id="run-0001", projects=("project-0", "project-1"), files=number
        ),
        aggregate_id=None,
    )


def _stamp(catalog: Catalog, data: Callable[[int], EventData], aggregate_id: str | None) -> Stamp:
    factory, codec = event_factory(catalog), Codec(catalog)
    numbers = [files_of(number) for number in range(SAMPLES)]
    events: list[Event[EventData]] = [
        factory.create(data(number), aggregate_id=aggregate_id, id=_ID, correlation_id=_DUE)
        for number in numbers
    ]
    return Stamp(
        topic=events[0].topic,
        event_type=events[0].type,
        _numbers=numbers,
        _samples=[_Sample(codec.encode(it), list(event_headers(it))) for it in events],
        _has_aggregate=aggregate_id is not None,
    )


def _id_text(number: int) -> str:
    return f"01940000-0000-7000-8000-{number:012x}"
