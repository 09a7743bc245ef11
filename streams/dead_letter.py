"""Dead letters: the raw bytes of an event that a subscription could not handle, with the reason."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from schemas.errors import WundrError
from schemas.topics import dead_letter_topic
from streams.records import ORIGIN, OutgoingRecord, RawRecord

SUBSCRIPTION: Final = "wundr_subscription"
HANDLER: Final = "wundr_handler"
REASON: Final = "wundr_reason"
LAST_ERROR: Final = "wundr_last_error"
RETRY_COUNT: Final = "wundr_retry_count"
DEAD_LETTERED_AT: Final = "wundr_dead_lettered_at"

LONGEST_ERROR: Final = 1_000
"""Bytes of an error text that are kept: a record at the broker's size limit must still fit."""


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
        ),
    )


def _cut(text: str) -> bytes:
    """The text in UTF-8, cut between two characters."""
    kept = text.encode(errors="replace")[:LONGEST_ERROR]
    return kept.decode(errors="ignore").encode()
