"""From aiokafka's errors to ours; the cause stays attached."""

from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka.errors import (
    CommitFailedError,
    IllegalStateError,
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    UnknownTopicOrPartitionError,
)

from schemas.errors import WundrError
from streams.errors import BrokerUnavailable, CommitRefused, RecordRefused, TopicMissing

TRANSIENT = (KafkaError, OSError, TimeoutError)
"""What a client raises while its broker is away or busy: worth another try."""

REFUSED = (MessageSizeTooLargeError, RecordListTooLargeError, InvalidTopicError)
"""The broker will never take this record: another try is of no use."""


def translated(error: BaseException, doing: str) -> WundrError:
    """Our error for one of aiokafka's; `doing` says what was attempted."""
    cause = f"{doing}: {type(error).__name__}: {error}".rstrip(": ")
    if isinstance(error, CommitFailedError | IllegalStateError):
        return CommitRefused(cause)
    if isinstance(error, REFUSED):
        return RecordRefused(cause)
    if isinstance(error, UnknownTopicOrPartitionError):
        return TopicMissing(cause)
    return BrokerUnavailable(cause)


@contextmanager
def kafka_errors(doing: str) -> Iterator[None]:
    """Raise our errors for what aiokafka, the network or a bounded wait raises inside."""
    try:
        yield
    except TRANSIENT as error:
        raise translated(error, doing) from error
