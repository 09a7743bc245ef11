"""Errors of a worker.

StreamsError
├── WorkerFailed      the worker cannot go on and stops: nothing was skipped
└── AppNotFound       an import path that leads to no app
"""

from streams.errors import StreamsError


class WorkerFailed(StreamsError):
    """A worker stopped because it cannot go on."""

    code = "streams.worker_failed"
    retryable = True
    remedy = "Read the error above, then start the worker again: it continues where it stopped."


class AppNotFound(StreamsError):
    """There is no app under this import path."""

    code = "streams.app_not_found"
    remedy = "Name a module that holds `app = App(...)`, or `module:attribute`."
