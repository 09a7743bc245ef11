"""From records to rows, or to the reasons why some are none. No record stops a batch."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from connectors.errors import Unstorable, VersionTaken
from connectors.event_row import event_row
from connectors.sink_target import PlacedRow, Position
from schemas.errors import SchemaError, WundrError
from streams.reading import EventReading, Unreadable
from streams.records import RawRecord


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
        for record in records:
            result = await self._read_one(record)
            if isinstance(result, PlacedRow):
                rows.append(result)
            elif result is not None:
                refused.append(result)
        return ReadRecords(rows=rows, refused=refused, records=records)

    async def _read_one(self, record: RawRecord) -> PlacedRow | Refused | None:
        event = await self._reading.read(record)
        if event is None or record.value is None:
            return None
        if isinstance(event, Unreadable):
            return Refused(record=record, error=event.error)
        try:
            row = event_row(event, record.value, with_json=self._with_json)
        except (SchemaError, Unstorable) as error:
            return Refused(record=record, error=error)
        return PlacedRow(position=_position(record), row=row)


def _position(record: RawRecord) -> Position:
    return Position(record.partition, record.offset)
