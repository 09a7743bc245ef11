"""From records to rows, or to the reasons why some are none. No record stops a batch."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from connectors.errors import Unstorable, VersionTaken
from connectors.event_row import EventRow, event_row
from connectors.sink_target import PlacedRow, Position
from schemas.errors import SchemaError, UnknownSchemaId, WundrError
from schemas.event import Event
from streams.reading import EventReading, Unreadable
from streams.records import RawRecord

YIELD_EVERY: Final = 50
"""After so many records others may work: the database waits for what is on its way to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A record that cannot be stored, with the error that says why."""

    record: RawRecord
    error: WundrError


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRecords:
    """What a batch of records became. `refused` holds what is not a dead letter yet."""

    rows: Sequence[PlacedRow]
    refused: Sequence[Refused]
    records: Sequence[RawRecord]

    def of(self, records: Sequence[RawRecord]) -> Self:
        """The same for some of the records; `rows` may hold those of others."""
        if len(records) == len(self.records) or not self.refused:
            return replace(self, records=records)
        places = {_position(record) for record in records}
        return replace(
            self,
            refused=[it for it in self.refused if _position(it.record) in places],
            records=records,
        )

    def refusing(self, error: VersionTaken) -> Self:
        """The same without the rows that the database refused, which are refused in turn."""
        places = {placed.position for placed in self.rows if placed.row.event_id in error.event_ids}
        return replace(
            self,
            rows=[placed for placed in self.rows if placed.position not in places],
            refused=[
                Refused(record=record, error=error)
                for record in self.records
                if _position(record) in places
            ],
        )


class SinkReading:
    """Reads every type; `with_json` fills the column for people who query with SQL."""

    def __init__(self, reading: EventReading, *, with_json: bool) -> None:
        self._reading = reading
        self._with_json = with_json

    async def read(self, records: Sequence[RawRecord]) -> ReadRecords:
        """Rows and refusals in the order of the records; tombstones become neither.

        Raises InfrastructureError when writer schemas cannot be looked up.
        """
        rows: list[PlacedRow] = []
        refused: list[Refused] = []
        for first in range(0, len(records), YIELD_EVERY):
            await asyncio.sleep(0)
            part = records[first : first + YIELD_EVERY]
            together = self._together(part)
            if together is None:
                for record in part:
                    await self._read_one(record, rows, refused)
            else:
                rows += together
        return ReadRecords(rows=rows, refused=refused, records=records)

    def _together(self, records: Sequence[RawRecord]) -> list[PlacedRow] | None:
        """The rows of records that are all sound events of known schemas, as nearly all are."""
        events = self._reading.view_all(records)
        if events is None:
            return None
        try:
            return [
                PlacedRow(
                    Position(record.partition, record.offset), self._row(event, record.value or b"")
                )
                for event, record in zip(events, records, strict=True)
            ]
        except (SchemaError, Unstorable):
            return None

    async def _read_one(
        self, record: RawRecord, rows: list[PlacedRow], refused: list[Refused]
    ) -> None:
        try:
            event = self._reading.view(record)
            if event is not None and record.value is not None:
                rows.append(PlacedRow(_position(record), self._row(event, record.value)))
        except UnknownSchemaId:
            await self._look_up(record, rows, refused)
        except (SchemaError, Unstorable) as error:
            refused.append(Refused(record=record, error=error))

    async def _look_up(
        self, record: RawRecord, rows: list[PlacedRow], refused: list[Refused]
    ) -> None:
        """Read a record whose schema must be found first."""
        event = await self._reading.read(record)
        if event is None or record.value is None:
            return
        if isinstance(event, Unreadable):
            refused.append(Refused(record=record, error=event.error))
            return
        try:
            row = self._row(event, record.value)
        except (SchemaError, Unstorable) as error:
            refused.append(Refused(record=record, error=error))
        else:
            rows.append(PlacedRow(_position(record), row))

    def _row(self, event: Event[Any], framed: bytes) -> EventRow:
        """The row, without a personal value that anybody could read."""
        if not self._with_json:
            return event_row(event, framed, with_json=False)
        stored = self._reading.as_stored(event, framed)
        return event_row(stored, framed, with_json=True)


def _position(record: RawRecord) -> Position:
    return Position(record.partition, record.offset)
