"""One error instead of the group that tasks raise: who calls expects the platform's own errors."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def first_error() -> Iterator[None]:
    """Around a task group: raise what ended it, the first of its errors, as if no task had been.

    The others came about while the tasks were being ended; they stay in the context of the error.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        raise _first(group)  # noqa: B904  # its own cause stays, and the group is its context


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
