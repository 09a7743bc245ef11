"""Dead letters of those that keep nothing waiting: raw bytes with the reason, beside the flow.

A record that no topic takes once it is unpacked (somebody else compressed it) is kept in part: one
record must not stop a worker for ever.
"""

from dataclasses import dataclass
from datetime import datetime

from schemas.errors import WundrError
from streams.parking.letter import Letter, LetterState
from streams.records import OutgoingRecord, RawRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What could not be done with a record: by which handler of which subscription, and why."""

    app: str
    group: str
    handler: str
    error: BaseException
    tries: int


def reason_of(error: BaseException) -> str:
    """The code of our own errors, the name of others: what failures are grouped by."""
    return error.code if isinstance(error, WundrError) else type(error).__name__


def text_of(error: BaseException) -> str:
    """What is kept of an error beside its reason."""
    return f"{type(error).__name__}: {error}"


def dead_letter(record: RawRecord, failure: Failure, now: datetime) -> OutgoingRecord:
    """The record for `dlq.<app>`, addressed to one subscription; nothing waits behind it."""
    letter = Letter(
        app=failure.app,
        group=failure.group,
        handler=failure.handler,
        record=record,
        state=LetterState.PARKED,
        is_alone=True,
        tries=failure.tries,
        reason=reason_of(failure.error),
        last_error=text_of(failure.error),
        failed_at=now,
    )
    return letter.encode()
