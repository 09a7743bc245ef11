"""Errors of the flow.

WundrError
└── StreamsError
    ├── InfrastructureError     something outside is away: retryable, pauses a subscription,
    never a dead letter
    │   ├── BreakerOpen         a dependency is not tried for a while
    │   ├── BrokerUnavailable   no broker answers
    │   ├── DeliveryFailed      a record was not acknowledged in time
    │   ├── BatchInterrupted    part of a batch was sent, the rest was not
    │   ├── JournalFailed       an event was acknowledged, and could not be written down
    │   ├── StoreFailed         the files of a table cannot be read or written
    │   │   ├── StoreCorrupt    they are damaged: the next start rebuilds them
    │   │   └── StoreInUse      another process has them
    │   ├── LetterNotFound      a failed event no longer stands where it was kept
    │   └── TopicMissing        a topic does not exist on this cluster
    ├── CommitRefused           a partition went to another member before a commit
    ├── RecordRefused           the broker will never take this record
    ├── PagesNotServed          something else listens where the pages of a process should
    ├── NotDelivered            closing left events that were never acknowledged
    ├── HandlerMismatch         a handler's annotation and its pattern disagree
    ├── StateNotStorable        a fold returned what no table can hold
    ├── DuplicateName           two handlers or projections of one app share a name
    ├── PartitionMismatch       topics that belong together differ in their partition counts
    ├── UnknownSubscription     unsubscribe() of something that is not subscribed
    ├── VersionConflict         an aggregate has another version than its writer expected
    ├── AppendRequired          publish() of a type that only append() may write
    ├── PublishRequired         append() of a type that has no versions
    ├── AggregateNotFound       no event of such an aggregate is stored
    ├── AggregateReadOnly       an aggregate that was built to be looked at is to change
    ├── ForeignDecision         a decision holds an event of another aggregate
    ├── HistoryGap              a version of an aggregate is missing
    ├── NoSuchHandler           a failed event is for a handler that is gone
    ├── NotALetter              a record of `retry.*` or `dlq.*` cannot be read
    ├── NotAnOrder              a record of `wundr.control` cannot be read
    ├── NotCompressible         a type is declared compressible whose every event counts
    ├── MergeFailed             two events cannot become one that fits their schema
    ├── InvalidBatchLimits      a batch that could never be full, or never leave
    └── UnknownAggregateType    nobody has said how such aggregates are folded
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from schemas.errors import WundrError

if TYPE_CHECKING:
    from streams.receipt import Receipt


class StreamsError(WundrError):
    """The flow of events failed."""

    code = "streams"


class InfrastructureError(StreamsError):
    """Something that the platform stands on is away."""

    code = "streams.infrastructure"
    retryable: ClassVar[bool] = True
    remedy = "Run `wundr status`; work goes on by itself once the part is back."


class BrokerUnavailable(InfrastructureError):
    """No Kafka broker answers."""

    code = "streams.broker_unavailable"
    remedy = "Start the stack with `wundr up`, or check WUNDR_KAFKA_BOOTSTRAP."


class BreakerOpen(InfrastructureError):
    """A breaker lets nothing through, since its dependency is away or somebody holds it open.

    `admission` waits until another try is worth it.
    """

    code = "streams.breaker_open"
    remedy = "Bring the dependency back; `wundr breaker list APP` says which, and since when."

    def __init__(self, message: str, admission: Callable[[], Awaitable[None]]) -> None:
        self.admission = admission
        super().__init__(message)


class DeliveryFailed(InfrastructureError):
    """The broker did not acknowledge a record."""

    code = "streams.delivery_failed"
    remedy = "Publish the same event again: readers drop repeats by its id."


class BatchInterrupted(InfrastructureError):
    """Part of a batch was sent, then no more could be: the cause says why.

    `receipts` promise the events that were sent, in order; `not_sent` names the others.
    """

    code = "streams.batch_interrupted"
    remedy = "Await the receipts, and publish the events that were not sent again."

    def __init__(self, receipts: "Sequence[Receipt]", not_sent: Sequence[str]) -> None:
        self.receipts = tuple(receipts)
        self.not_sent = tuple(not_sent)
        super().__init__(
            f"{len(self.receipts)} events were sent, {len(self.not_sent)} were not: "
            + ", ".join(self.not_sent)
        )


class JournalFailed(InfrastructureError):
    """The broker has an event that the journal could not take."""

    code = "streams.journal_failed"
    remedy = "Make room for the journal, then publish the same event again: readers drop repeats."


class StoreFailed(InfrastructureError):
    """The files of a table cannot be read or written."""

    code = "streams.store_failed"
    remedy = "Check that the disk has room and the data folder is writable, then start again."


class StoreCorrupt(StoreFailed):
    """The files of a table are damaged."""

    code = "streams.store_corrupt"
    remedy = "Start the worker again: it rebuilds the table from its changelog."


class StoreInUse(StoreFailed):
    """Another process has the files of a table open."""

    code = "streams.store_in_use"
    remedy = "Give each worker a data folder of its own, or stop the other one."


class NotDelivered(StreamsError):
    """Some events were not acknowledged before the bus closed."""

    code = "streams.not_delivered"
    retryable: ClassVar[bool] = True
    remedy = "Publish the named events again with the same ids."

    def __init__(self, event_ids: Sequence[str]) -> None:
        self.event_ids = tuple(event_ids)
        super().__init__(
            f"{len(self.event_ids)} events were not acknowledged: {', '.join(self.event_ids)}"
        )


class HandlerMismatch(StreamsError):
    """A handler is annotated with an event that its pattern never delivers."""

    code = "streams.handler_mismatch"
    remedy = "Make the pattern and the annotated event type agree."


class InvalidHandler(StreamsError):
    """A handler's options do not make sense."""

    code = "streams.invalid_handler"
    remedy = "Correct the options of @app.on."


class StateNotStorable(StreamsError):
    """A fold returned a state that is no JSON object."""

    code = "streams.state_not_storable"
    remedy = "Return a dict with text keys and JSON values from the fold and from `initial`."


class HandlerReturned(StreamsError):
    """A handler emitted an event after it had returned."""

    code = "streams.handler_returned"
    remedy = "Await everything that emits before the handler returns."


class LaneStopped(StreamsError):
    """A lane was cancelled from within, or did not end when it was told to."""

    code = "streams.lane_stopped"
    remedy = "Find what cancels its own task, or catches a cancellation, and let it through."


class HandlerTimedOut(StreamsError):
    """A handler was cancelled because it took longer than its deadline."""

    code = "streams.handler_timed_out"
    remedy = "Give what the handler waits for a time limit of its own, or raise `deadline_s`."


class DuplicateName(StreamsError):
    """A name is used twice in one app."""

    code = "streams.duplicate_name"
    remedy = (
        "Give the handler or projection a name of its own: names are part of its stored progress."
    )


class PartitionMismatch(StreamsError):
    """Topics that belong together have different partition counts."""

    code = "streams.partition_mismatch"
    remedy = "Run `wundr topics plan`; growing a partition count is a migration."


class UnknownSubscription(StreamsError):
    """This subscription is not active on this bus."""

    code = "streams.unknown_subscription"
    remedy = "Unsubscribe once, with the subscription that subscribe() returned."


class VersionConflict(StreamsError):
    """Somebody else has changed the aggregate since its writer looked at it."""

    code = "streams.version_conflict"
    retryable: ClassVar[bool] = True
    remedy = "Load the aggregate again, decide again, and append what follows from it now."

    def __init__(self, aggregate: str, expected: int, actual: int) -> None:
        self.aggregate = aggregate
        self.expected = expected
        self.actual = actual
        super().__init__(f"{aggregate} has version {actual}, its writer expected {expected}.")


class AppendRequired(StreamsError):
    """Events of an appended aggregate type get their versions from the store alone."""

    code = "streams.append_required"
    remedy = "Use append() with an expected version; publish() is for types that have no versions."

    def __init__(self, event_type: str, aggregate_type: str) -> None:
        self.event_type = event_type
        super().__init__(f"{event_type} belongs to {aggregate_type}, which is appended.")


class PublishRequired(StreamsError):
    """Events of a published type have no versions that an append could expect."""

    code = "streams.publish_required"
    remedy = "Use publish(), or make the aggregate type appended in its schema files."

    def __init__(self, event_type: str) -> None:
        self.event_type = event_type
        super().__init__(f"{event_type} belongs to no appended aggregate type.")


class AggregateNotFound(StreamsError):
    """No event of this aggregate is stored."""

    code = "streams.aggregate_not_found"
    remedy = "Check type and id with `wundr events get --aggregate ID`."

    def __init__(self, aggregate: str) -> None:
        self.aggregate = aggregate
        super().__init__(f"There is no event of {aggregate}.")


class AggregateReadOnly(StreamsError):
    """An aggregate without an event factory can be looked at, not changed."""

    code = "streams.aggregate_read_only"
    remedy = "Change it through a repository, or give it an EventFactory."

    def __init__(self, aggregate: str) -> None:
        self.aggregate = aggregate
        super().__init__(f"{aggregate} was built without an event factory.")


class ForeignDecision(StreamsError):
    """A decision holds an event that belongs to another aggregate."""

    code = "streams.foreign_decision"
    remedy = "Decide events of the aggregate itself; let a handler react to them for others."

    def __init__(self, event_type: str, aggregate: str) -> None:
        self.event_type = event_type
        super().__init__(f"{event_type} is no event of {aggregate}.")


class HistoryGap(StreamsError):
    """A version of an aggregate is missing."""

    code = "streams.history_gap"
    remedy = "Run `wundr store audit`: the store has lost an event, or was read while restored."

    def __init__(self, aggregate: str, expected: int, found: int) -> None:
        self.expected = expected
        self.found = found
        super().__init__(f"{aggregate}: version {expected} is missing, {found} comes next.")


class UnknownAggregateType(StreamsError):
    """Nobody has said how aggregates of this type are folded."""

    code = "streams.unknown_aggregate_type"
    remedy = "Check the spelling, or pass the model of the type, too."

    def __init__(self, aggregate_type: str, known: Iterable[str]) -> None:
        self.aggregate_type = aggregate_type
        super().__init__(
            f"{aggregate_type!r} has no model, only {', '.join(sorted(known)) or 'nothing'} has"
        )


class NotCompressible(StreamsError):
    """Every event of this type counts: none may be merged with another."""

    code = "streams.not_compressible"
    remedy = "Leave the type out of the compressible ones, or make an event type for its progress."

    def __init__(self, event_type: str, reason: str) -> None:
        self.event_type = event_type
        super().__init__(f"{event_type} cannot be compressible: {reason}")


class MergeFailed(StreamsError):
    """Events cannot become one."""

    code = "streams.merge_failed"
    remedy = "Correct the merge function of the type: it must give what the type's schema takes."

    def __init__(self, event_type: str, event_ids: Sequence[str], problem: str) -> None:
        self.event_type = event_type
        self.event_ids = tuple(event_ids)
        super().__init__(
            f"{len(self.event_ids)} events of {event_type} cannot become one: {problem}"
        )


class InvalidBatchLimits(StreamsError):
    """The limits of a batch make no sense."""

    code = "streams.invalid_batch_limits"
    remedy = "Give numbers above zero, and room for at least one batch."


class LetterNotFound(InfrastructureError):
    """A failed event no longer stands where it was kept: another letter about it came later."""

    code = "streams.letter_not_found"
    remedy = "Start the worker again: it begins with the last letter about each event."


class TopicMissing(InfrastructureError):
    """A topic does not exist on this cluster."""

    code = "streams.topic_missing"
    remedy = "Run `wundr topics apply`, or `wundr topics apply MODULE` for a topic of an app."


class CommitRefused(StreamsError):
    """A partition was given to another member before its offset could be committed."""

    code = "streams.commit_refused"
    retryable: ClassVar[bool] = True
    remedy = "Nothing to do: the next owner reads again from the last committed offset."


class RecordRefused(StreamsError):
    """The broker will never take this record."""

    code = "streams.record_refused"
    remedy = "Make the event smaller, or check the topic's name and its max.message.bytes."


class NotALetter(StreamsError, ValueError):
    """A record that should keep a failed event does not say which."""

    code = "streams.not_a_letter"
    remedy = "Find out who else writes to `retry.*` and `dlq.*`; the record is left alone."


class NotAnOrder(StreamsError):
    """A record that should be an order cannot be understood."""

    code = "streams.not_an_order"
    remedy = "Give orders with `wundr dlq`; the record is left alone."


class NoSuchHandler(StreamsError):
    """A failed event is addressed to a handler that the app has no more."""

    code = "streams.no_such_handler"
    remedy = "Register the handler under its old name again, or drop the event with `wundr dlq`."


class PagesNotServed(StreamsError):
    """Something else listens where the pages of a process should."""

    code = "streams.pages_not_served"
    remedy = "Choose another --http-port (0 takes a free one), or stop what listens there."
