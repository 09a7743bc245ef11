"""Where the demonstration's own log lines go while a person looks at its display."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Write log lines of this process to a file, as JSON, for the duration of a block."""
    path.parent.mkdir(parents=True, exist_ok=True)
    before = structlog.get_config()
    handler = logging.FileHandler(path)
    root = logging.getLogger()
    on_screen, root.handlers = root.handlers, [handler]
    with path.open("a") as file:
        structlog.configure(
            processors=[*before["processors"][:-1], structlog.processors.JSONRenderer()],
            logger_factory=structlog.PrintLoggerFactory(file=file),
        )
        try:
            yield
        finally:
            structlog.configure(**before)
            root.handlers = on_screen
            handler.close()
