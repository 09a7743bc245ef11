"""Entries of a table on disk, in RocksDB: changes and offset of a batch in one atomic write.

What a crash of the machine takes back it takes back whole: the offset too, so it is read again.
"""

import shutil
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import structlog
from rocksdict import BlockBasedOptions, Options, Rdict, ReadOptions, WriteBatch

from streams.errors import StoreCorrupt, StoreFailed, StoreInUse

WRITE_BUFFER_BYTES: Final = 16 * 1024 * 1024
BLOOM_BITS: Final = 10
KEPT_LOG_FILES: Final = 2

OFFSET: Final = b"o"
ENTRY: Final = b"v"
"""The byte after a partition's number; what it is about comes after it."""

log = structlog.get_logger(__name__)


class RocksEntryStore:
    """Implements EntryStore. One process at a time."""

    def __init__(self, folder: Path, log_id: str) -> None:
        """Open or make the store. `log_id`: which changelog it follows, such as its topic id."""
        self._folder = folder
        self._files = folder / "entries"
        self._begin_anew_if_unfit(log_id)
        try:
            self._rdict = self._open()
        except StoreCorrupt:
            self._begin_anew("it cannot be opened")
            self._rdict = self._open()
        (folder / "log_id").write_text(log_id)

    def get(self, partition: int, key: bytes) -> bytes | None:
        """The value of a key."""
        try:
            value: bytes | None = self._rdict.get(_prefix(partition, ENTRY) + key)
        except Exception as error:
            raise self._typed(error) from error
        return value

    def reading(self, partition: int) -> Callable[[bytes], bytes | None]:
        """See EntryStore."""
        return partial(self.get, partition)

    def write(
        self, partition: int, changes: Mapping[bytes, bytes], next_offset: int | None = None
    ) -> None:
        """Put all of these, and the offset, or nothing."""
        batch = WriteBatch(raw_mode=True)
        prefix = _prefix(partition, ENTRY)
        for key, value in changes.items():
            batch.put(prefix + key, value)
        if next_offset is not None:
            batch.put(_prefix(partition, OFFSET), str(next_offset).encode())
        with self._typed_errors():
            self._rdict.write(batch)

    def next_offset(self, partition: int) -> int:
        """All changelog records below it are in the store."""
        with self._typed_errors():
            return int(self._rdict.get(_prefix(partition, OFFSET)) or 0)

    def items(self, partition: int) -> Iterator[tuple[bytes, bytes]]:
        """All keys and values as they were when this was asked."""
        prefix = _prefix(partition, ENTRY)
        reading = ReadOptions()
        reading.set_iterate_upper_bound(_after(prefix))
        found = self._rdict.iter(reading)
        found.seek(prefix)
        while found.valid():
            yield found.key()[len(prefix) :], found.value()
            found.next()
        # A corrupt block ends the iteration like the end of the entries does.
        with self._typed_errors():
            found.status()

    def size(self) -> int:
        """About how many keys there are; those count twice that were written again lately."""
        with self._typed_errors():
            return int(self._rdict.property_int_value("rocksdb.estimate-num-keys") or 0)

    def delete(self, partition: int) -> None:
        """Forget everything of a partition."""
        batch = WriteBatch(raw_mode=True)
        for kind in (ENTRY, OFFSET):
            prefix = _prefix(partition, kind)
            batch.delete_range(prefix, _after(prefix))
        with self._typed_errors():
            self._rdict.write(batch)

    def release(self, partition: int) -> None:
        """It stays on disk: when it comes back only what was written since is recovered."""

    def close(self) -> None:
        """Let go of the files."""
        self._rdict.close()

    def _open(self) -> Rdict:
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._typed_errors():
            return Rdict(str(self._files), _options())

    def _begin_anew_if_unfit(self, log_id: str) -> None:
        known = self._folder / "log_id"
        if self._corrupt.exists():
            self._begin_anew("a part of it could not be read")
        elif known.exists() and known.read_text() != log_id:
            self._begin_anew("it follows another log")

    def _begin_anew(self, reason: str) -> None:
        log.error("table store begun anew", folder=str(self._folder), reason=reason)
        shutil.rmtree(self._files, ignore_errors=True)
        self._corrupt.unlink(missing_ok=True)

    @property
    def _corrupt(self) -> Path:
        """A mark for the next start."""
        return self._folder / "corrupt"

    @contextmanager
    def _typed_errors(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            raise self._typed(error) from error

    def _typed(self, error: Exception) -> StoreFailed:
        """The library raises nothing more special; RocksDB's messages begin with their kind."""
        reason = str(error)
        if reason.startswith("Corruption"):
            self._corrupt.touch()
            return StoreCorrupt(f"{self._folder}: {reason}")
        if "/LOCK: " in reason:
            return StoreInUse(f"{self._folder}: {reason}")
        return StoreFailed(f"{self._folder}: {reason}")


def _options() -> Options:
    blocks = BlockBasedOptions()
    blocks.set_bloom_filter(BLOOM_BITS, block_based=False)
    options = Options(raw_mode=True)
    options.create_if_missing(True)  # noqa: FBT003  # the library's signature
    options.set_block_based_table_factory(blocks)
    options.set_write_buffer_size(WRITE_BUFFER_BYTES)
    options.set_keep_log_file_num(KEPT_LOG_FILES)
    return options


def _prefix(partition: int, kind: bytes) -> bytes:
    return struct.pack(">I", partition) + kind


def _after(prefix: bytes) -> bytes:
    """The first key that does not begin so; kinds are letters, so there is one."""
    return prefix[:-1] + bytes([prefix[-1] + 1])
