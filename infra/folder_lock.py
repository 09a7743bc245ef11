"""One command at a time may own a state folder's application."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.errors import InfraError

FILE = "application.lock"


class ApplicationRuns(InfraError):
    """An application already runs in this folder."""

    code = "infra.application_runs"
    remedy = "Let it end, or use another working folder."


@contextmanager
def application_lock(state_dir: Path) -> Iterator[None]:
    """Hold the folder for the duration of a block; a killed owner lets go by itself.

    Raises ApplicationRuns.
    """
    state_dir.mkdir(parents=True, exist_ok=True)
    with (state_dir / FILE).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ApplicationRuns(f"an application already runs in {state_dir}") from None
        yield
