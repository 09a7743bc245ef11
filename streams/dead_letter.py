"""Dead letters: the raw bytes of an event that a subscription could not handle, with the reason.

A record that no topic takes once it is unpacked (somebody else compressed it) is kept in part: one
record must not stop a worker for ever.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from schemas.errors import WundrError
from schemas.topics import LARGEST_RECORD, dead_letter_topic
from streams.records import ORIGIN, OutgoingRecord, RawRecord

SUBSCRIPTION: Final = "wundr_subscription"
HANDLER: Final = "wundr_handler"
REASON: Final = "wundr_reason"
LAST_ERROR: Final = "wundr_last_error"
RETRY_COUNT: Final = "wundr_retry_count"
DEAD_LETTERED_AT: Final = "wundr_dead_lettered_at"

WHOLE_BYTES: Final = "wundr_whole_bytes"
"""How long the value was, where the dead letter holds its beginning only."""

LONGEST_ERROR: Final = 1_000
"""Bytes of an error text that are kept: a record at the broker's size limit must still fit."""

LONGEST_KEY: Final = 1_000
"""Bytes of a key that are kept where key and headers alone pass the limit."""

HEADER_LENGTHS: Final = 10
"""Bytes that the lengths of a header's name and content take at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What could not be done with a record: by which handler of which subscription, and why."""

    app: str
    group: str
    handler: str
    error: BaseException
    tries: int


def dead_letter(record: RawRecord, failure: Failure, now: datetime) -> OutgoingRecord:
    """The record for `dlq.<app>`.

    Key, bytes and headers as they were, addressed to one subscription.
    """
    record, cut = _fitting(record)
    error = failure.error
    reason = error.code if isinstance(error, WundrError) else type(error).__name__
    return OutgoingRecord(
        topic=dead_letter_topic(failure.app),
        key=record.key,
        value=record.value,
        headers=(
            *((name, value) for name, value in record.headers if name != ORIGIN),
            (ORIGIN, record.origin.encode()),
            (SUBSCRIPTION, failure.group.encode()),
            (HANDLER, failure.handler.encode()),
            (REASON, reason.encode()),
            (LAST_ERROR, _cut(f"{type(error).__name__}: {error}")),
            (RETRY_COUNT, str(failure.tries).encode()),
            (DEAD_LETTERED_AT, now.isoformat().encode()),
            *cut,
        ),
    )


def _fitting(record: RawRecord) -> tuple[RawRecord, tuple[tuple[str, bytes], ...]]:
    """As much of a record as a topic takes, and what to say about what was left out."""
    value = record.value or b""
    rest = len(record.key or b"") + sum(
        len(name) + len(content or b"") + HEADER_LENGTHS for name, content in record.headers
    )
    if len(value) + rest <= LARGEST_RECORD:
        return record, ()
    kept = record._replace(value=value[: max(0, LARGEST_RECORD - rest)])
    if rest > LARGEST_RECORD:
        kept = kept._replace(key=(record.key or b"")[:LONGEST_KEY], headers=())
    return kept, ((WHOLE_BYTES, str(len(value)).encode()),)


def _cut(text: str) -> bytes:
    """The text in UTF-8, cut between two characters."""
    kept = text.encode(errors="replace")[:LONGEST_ERROR]
    return kept.decode(errors="ignore").encode()
