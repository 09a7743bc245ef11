"""Copies of events under the keys of projections, for their repartition topics. Pure."""

from typing import Final

from schemas.topics import repartition_topic
from streams.records import LATE, ORIGIN, Headers, OutgoingRecord, RawRecord

LATELY: Final = ((LATE, b""),)
"""Later events of the partition were sent on already: this one is told from repeats by its id."""


def rekeyed(
    record: RawRecord, app: str, projection: str, key: str, said: Headers
) -> OutgoingRecord:
    """The copy of a record under a projection's key; what is `said` of it stands beside."""
    return OutgoingRecord(
        topic=repartition_topic(app, projection),
        key=key.encode(),
        value=record.value,
        headers=(*record.headers, (ORIGIN, record.origin.encode()), *said),
    )
