"""Errors of a worker.

StreamsError
├── WorkerFailed        the worker cannot go on and stops: nothing was skipped
├── WorkerStalled       a partition stands still, and the worker ends to be started again
├── RecoveryOverdue     a table was not recovered from its changelog in time
├── AppNotFound         an import path that leads to no app
├── NoSuchSubscription  the app has no subscription of this name
└── LanesNeedNoTables   a table needs all priorities of its events in one process
"""

from streams.errors import StreamsError


class WorkerFailed(StreamsError):
    """A worker stopped because it cannot go on."""

    code = "streams.worker_failed"
    retryable = True
    remedy = "Read the error above, then start the worker again: it continues where it stopped."


class WorkerStalled(StreamsError):
    """A worker ended because work on a partition stood still."""

    code = "streams.worker_stalled"
    retryable = True
    remedy = (
        "A supervisor starts it again; the stacks in the log above say where the handler waits."
    )

    exit_code = 75
    """EX_TEMPFAIL: another start may go well."""


class RecoveryOverdue(StreamsError):
    """A table was not recovered from its changelog in time."""

    code = "streams.recovery_overdue"
    retryable = True
    remedy = "Start again with a longer deadline, or rebuild the table from the event store."


class AppNotFound(StreamsError):
    """There is no app under this import path."""

    code = "streams.app_not_found"
    remedy = "Name a module that holds `app = App(...)`, or `module:attribute`."


class AppNotImported(AppNotFound):
    """The module of the app raises an error when it is imported."""

    code = "streams.app_not_imported"
    remedy = "Mend the line that is named; `python -c 'import MODULE'` shows how it was reached."


class NoSuchSubscription(StreamsError):
    """The app has no subscription of this name."""

    code = "streams.no_such_subscription"
    remedy = "Name one that a handler asks for by `subscription=`, or none for all."


class LanesNeedNoTables(StreamsError):
    """A subscription with tables reads all priorities in one process."""

    code = "streams.lanes_need_no_tables"
    remedy = (
        "Give the handlers that need a process of their own a subscription without projections."
    )
