"""Errors of sagas.

StreamsError
├── InvalidSaga          what an app registers is no saga that could run
├── InvalidReaction      what a saga has decided cannot be carried out
├── SagaStoreMissing     an app with sagas runs where nothing keeps them
└── FiringStopped        deadlines are fired no more, and nobody had asked for that
"""

from streams.errors import StreamsError


class InvalidSaga(StreamsError):
    """A saga lacks a name or something that starts it."""

    code = "streams.invalid_saga"
    remedy = "Give the saga a `name` in lower case with hyphens, and types in `started_by`."


class InvalidReaction(StreamsError):
    """A saga decided something that cannot be carried out, or named a course by no text."""

    code = "streams.invalid_reaction"
    remedy = "Correct what `correlate` or `decide` of the saga returns; nothing was done."


class SagaStoreMissing(StreamsError):
    """The courses of sagas are kept in PostgreSQL, and none was given."""

    code = "streams.saga_store_missing"
    remedy = "Run the app with `wundr worker APP`, which connects its sagas to PostgreSQL."


class FiringStopped(StreamsError):
    """What fires the deadlines of a saga has ended before its worker was stopped."""

    code = "streams.firing_stopped"
    remedy = "Start the worker again: no deadline is lost. The log says what came before."
