"""Columns of stored events held against their bytes, from which every one of them follows. Pure.

The column `data` is left out: it may be switched off, and JSON in Postgres is not what was written.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from connectors.audit import Anomaly, Kind
from connectors.errors import Unstorable
from connectors.event_row import EventRow, event_row
from schemas.codec import Codec
from schemas.errors import SchemaError

NOT_COMPARED: Final = frozenset({"framed", "data"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedColumns:
    """How many rows could be read, and which of them say something else than their bytes."""

    rows: int
    anomalies: tuple[Anomaly, ...]


def compare_columns(codec: Codec, rows: Iterable[EventRow]) -> ComparedColumns:
    """Hold rows against their bytes; those that nobody can read here are left to other checks."""
    read = 0
    anomalies: list[Anomaly] = []
    for row in rows:
        try:
            told = event_row(codec.view(row.framed), row.framed, with_json=False)
        except (SchemaError, Unstorable):
            continue
        read += 1
        wrong = _differing(row, told)
        if wrong:
            detail = f"{', '.join(wrong)}: not what the bytes say"
            anomalies.append(Anomaly(Kind.COLUMN, row.event_id, detail))
    return ComparedColumns(rows=read, anomalies=tuple(anomalies))


def _differing(row: EventRow, told: EventRow) -> list[str]:
    """The columns in which a row differs from what its bytes say."""
    return [
        name
        for name, stored, right in zip(EventRow._fields, row, told, strict=True)
        if name not in NOT_COMPARED and stored != right
    ]
