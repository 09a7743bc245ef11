"""Rows by key in buckets on disk: what is larger than memory is worked on bucket by bucket.

All rows of one key are in the same bucket. Files are gone once the block ends.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Final, Self
from zlib import crc32

import orjson

BUFFERED: Final = 50_000
"""So many rows are held in memory at most before they are written."""

KEYS_IN_BUCKET: Final = 10_000
MOST_BUCKETS: Final = 4_096


class Spill:
    """Takes rows of texts, whole numbers, booleans and None. Use as a context manager."""

    def __init__(self, keys: int) -> None:
        """`keys`: about how many different keys will come."""
        self.buckets = max(1, min(MOST_BUCKETS, keys // KEYS_IN_BUCKET))
        self._buffers: list[list[Sequence[Any]]] = [[] for _ in range(self.buckets)]
        self._buffered = 0
        self._directory: TemporaryDirectory[str] | None = None

    def __enter__(self) -> Self:
        """Make the folder, where the system has temporary files."""
        self._directory = TemporaryDirectory(prefix="wundr-audit-")
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Remove the files."""
        if self._directory is not None:
            self._directory.cleanup()

    def put(self, key: str, row: Sequence[Any]) -> None:
        """Add a row."""
        self._buffers[crc32(key.encode()) % self.buckets].append(row)
        self._buffered += 1
        if self._buffered >= BUFFERED:
            self._flush()

    def rows(self, bucket: int) -> Iterator[list[Any]]:
        """The rows of a bucket, in the order in which they came."""
        self._flush()
        file = self._file(bucket)
        if not file.exists():
            return
        with file.open("rb") as lines:
            for line in lines:
                yield from orjson.loads(line)

    def _flush(self) -> None:
        for bucket, rows in enumerate(self._buffers):
            if rows:
                with self._file(bucket).open("ab") as file:
                    file.write(orjson.dumps(rows, option=orjson.OPT_APPEND_NEWLINE))
                rows.clear()
        self._buffered = 0

    def _file(self, bucket: int) -> Path:
        if self._directory is None:
            raise RuntimeError("a spill is used within its block")
        return Path(self._directory.name) / str(bucket)
