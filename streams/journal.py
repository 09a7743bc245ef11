"""The journal of acknowledged events.

What a process was promised, kept on disk, one JSON line each.
"""

import base64
from pathlib import Path
from typing import IO

import orjson

from streams.receipt import Acknowledgement
from streams.records import OutgoingRecord


class FileJournal:
    """Appends the bytes of every acknowledged event.

    A line is on its way to disk before the receipt resolves.

    Many processes may write journals into one folder, each its own file. A process that was killed
    and started again appends to its old file: the same event may then stand in it twice.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[bytes] = path.open("ab", buffering=0)

    def acknowledged(self, record: OutgoingRecord, acknowledgement: Acknowledgement) -> None:
        """Write one line, in one system call."""
        line = {
            "position": str(acknowledgement),
            "value": base64.b64encode(record.value or b"").decode(),
        }
        self._file.write(orjson.dumps(line) + b"\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_journal(path: Path, start: int = 0) -> tuple[list[bytes], int]:
    """The framed events of a journal from a byte on, and where to read on later.

    A last line without its end is left for later: it is being written, or its writer was killed
    before it acted.
    """
    with path.open("rb") as journal:
        journal.seek(start)
        whole, _, _ = journal.read().rpartition(b"\n")
    lines = whole.splitlines()
    values = [base64.b64decode(orjson.loads(line)["value"]) for line in lines]
    return values, start + (len(whole) + 1 if whole else 0)
