"""Letters: records that a handler could not take, as `retry.<app>` and `dlq.<app>` keep them.

The key says which record of which handler it is, so the last letter of a key is what is true, and a
record without a value ends it: both topics are compacted. The bytes are those that were read; all
that is said of them stands in headers. The partition is the one that the record was read from.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, Self

from schemas.headers import CE_ID, CE_TYPE
from schemas.topics import LARGEST_RECORD, dead_letter_topic, retry_topic
from streams.errors import NotALetter
from streams.records import ORIGIN, Headers, Origin, OutgoingRecord, RawRecord, first_header

SUBSCRIPTION: Final = "wundr_subscription"
HANDLER: Final = "wundr_handler"
SOURCE: Final = "wundr_source"
KEY: Final = "wundr_key"
WRITTEN_AT: Final = "wundr_written_at"
REASON: Final = "wundr_reason"
LAST_ERROR: Final = "wundr_last_error"
RETRY_COUNT: Final = "wundr_retry_count"
DEAD_LETTERED_AT: Final = "wundr_dead_lettered_at"
FAILED_AT: Final = "wundr_failed_at"
DUE_AT: Final = "wundr_due_at"
ALONE: Final = "wundr_alone"
EDITED_AT: Final = "wundr_edited_at"

WHOLE_BYTES: Final = "wundr_whole_bytes"
"""How long the value was, where the letter holds its beginning only."""

OURS: Final = frozenset(
    {
        *(SUBSCRIPTION, HANDLER, SOURCE, KEY, WRITTEN_AT, REASON, LAST_ERROR, RETRY_COUNT),
        *(DEAD_LETTERED_AT, FAILED_AT, DUE_AT, ALONE, EDITED_AT, WHOLE_BYTES),
    }
)
"""The headers that a letter adds; ORIGIN beside them belongs to every copy of a record."""

LONGEST_ERROR: Final = 1_000
"""Bytes of an error text that are kept: a record at the broker's size limit must still fit."""

LONGEST_KEY: Final = 1_000
"""Bytes of a key that are kept where key and headers alone pass the limit."""

HEADER_LENGTHS: Final = 10
"""Bytes that the lengths of a header's name and content take at most."""

READ: Final = "read:"
"""Who waits for a record that cannot be read: all handlers together. None may be called so."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class LetterState(StrEnum):
    """Why a record is not done."""

    BEHIND = "behind"
    """An earlier one of its aggregate is not done."""

    WAITING = "waiting"
    """It has failed, and is tried again when it is due."""

    PARKED = "parked"
    """It has failed for the last time, until somebody orders otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A record that one handler or projection of one subscription has not done.

    `record` is as it was read, with its own place. With `is_alone` nothing waits behind it.
    `due_at` is for those that wait; `reason` a code or the name of an error.
    """

    app: str
    group: str
    handler: str
    record: RawRecord
    state: LetterState
    tries: int = 0
    reason: str = ""
    last_error: str = ""
    failed_at: datetime | None = None
    due_at: datetime | None = None
    edited_at: datetime | None = None
    is_alone: bool = False

    @property
    def id(self) -> str:
        """The same for every letter about this record and handler: `group/handler/place`."""
        return letter_id(self.group, self.handler, self.record)

    @property
    def topic(self) -> str:
        """Where it is kept."""
        is_parked = self.state is LetterState.PARKED
        return dead_letter_topic(self.app) if is_parked else retry_topic(self.app)

    @property
    def event_id(self) -> str | None:
        """As the producer's header has it."""
        return _text(first_header(self.record.headers, CE_ID))

    @property
    def event_type(self) -> str | None:
        """As the producer's header has it."""
        return _text(first_header(self.record.headers, CE_TYPE))

    def encode(self) -> OutgoingRecord:
        """The record that keeps it."""
        record, cut = _fitting(self.record)
        return OutgoingRecord(
            topic=self.topic,
            key=self.id.encode(),
            value=record.value or b"",
            headers=(
                *((name, it) for name, it in record.headers if name not in OURS and name != ORIGIN),
                (ORIGIN, record.origin.encode()),
                (SOURCE, _place(record).encode()),
                (SUBSCRIPTION, self.group.encode()),
                (HANDLER, self.handler.encode()),
                (WRITTEN_AT, str(record.timestamp_ms).encode()),
                *(() if record.key is None else ((KEY, record.key),)),
                *self._failure(),
                *cut,
            ),
            partition=record.partition,
        )

    def ended(self) -> OutgoingRecord:
        """The record that ends it in its topic."""
        return OutgoingRecord(self.topic, self.id.encode(), None, (), self.record.partition)

    def _failure(self) -> Headers:
        headers: list[tuple[str, bytes]] = [(RETRY_COUNT, str(self.tries).encode())]
        if self.reason:
            headers.append((REASON, self.reason.encode()))
            headers.append((LAST_ERROR, _cut(self.last_error)))
        if self.failed_at is not None:
            is_parked = self.state is LetterState.PARKED
            name = DEAD_LETTERED_AT if is_parked else FAILED_AT
            headers.append((name, self.failed_at.isoformat().encode()))
        if self.due_at is not None:
            headers.append(
                (DUE_AT, str((self.due_at - EPOCH) // timedelta(milliseconds=1)).encode())
            )
        if self.edited_at is not None:
            headers.append((EDITED_AT, self.edited_at.isoformat().encode()))
        if self.is_alone:
            headers.append((ALONE, b""))
        return tuple(headers)

    @classmethod
    def decode(cls, kept: RawRecord) -> Self:
        """Read a record of `retry.<app>` or `dlq.<app>` that has a value.

        Raises NotALetter, which names the place and the header.
        """
        headers = dict(reversed(kept.headers))
        try:
            kind, _, app = kept.topic.partition(".")
            due_at = headers.get(DUE_AT)
            state = LetterState.BEHIND if due_at is None else LetterState.WAITING
            parked_at = headers.get(DEAD_LETTERED_AT)
            edited_at = headers.get(EDITED_AT)
            return cls(
                app=app,
                group=headers[SUBSCRIPTION].decode(),
                handler=headers[HANDLER].decode(),
                record=_original(kept, headers),
                state=LetterState.PARKED if kind == "dlq" else state,
                tries=int(headers[RETRY_COUNT]),
                reason=headers.get(REASON, b"").decode(),
                last_error=headers.get(LAST_ERROR, b"").decode(),
                failed_at=_time(parked_at or headers.get(FAILED_AT)),
                due_at=None if due_at is None else EPOCH + timedelta(milliseconds=int(due_at)),
                edited_at=_time(edited_at),
                is_alone=ALONE in headers,
            )
        except (KeyError, ValueError, OverflowError) as error:
            place = f"{kept.topic}/{kept.partition}/{kept.offset}"
            raise NotALetter(f"{place} is no letter: {error!r}") from error


def letter_id(group: str, handler: str, record: RawRecord) -> str:
    """See Letter.id."""
    return f"{group}/{handler}/{record.topic}/{record.partition}/{record.offset}"


def source_of(letter: str) -> tuple[str, int, int]:
    """Topic, partition and offset that the id of a letter ends with. Raises NotALetter."""
    with suppress(ValueError):
        _, topic, partition, offset = letter.rsplit("/", 3)
        return topic, int(partition), int(offset)
    raise NotALetter(f"{letter!r} is no id of a letter")


def _original(kept: RawRecord, headers: dict[str, bytes]) -> RawRecord:
    """The record as it was read."""
    source, origin = headers[SOURCE], headers[ORIGIN]
    topic, partition, offset = Origin.decode(source)
    return RawRecord(
        topic=topic,
        partition=partition,
        offset=offset,
        timestamp_ms=int(headers[WRITTEN_AT]),
        key=headers.get(KEY),
        value=kept.value,
        headers=tuple(
            (name, it)
            for name, it in kept.headers
            if name not in OURS and (name != ORIGIN or source != origin)
        ),
    )


def _place(record: RawRecord) -> Origin:
    return Origin(record.topic, record.partition, record.offset)


def _fitting(record: RawRecord) -> tuple[RawRecord, Headers]:
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


def _text(content: bytes | None) -> str | None:
    return None if content is None else content.decode(errors="replace")


def _time(content: bytes | None) -> datetime | None:
    return None if content is None else datetime.fromisoformat(content.decode())
