"""The journal of acknowledged events.

What a process was promised, kept on disk, one JSON line each.
"""

import base64
import errno
from pathlib import Path
from typing import Final

import orjson

from streams.receipt import Acknowledgement
from streams.records import OutgoingRecord

LINE_END: Final = b"\n"
OBJECT_END: Final = b"}"


class FileJournal:
    """Appends the bytes of every acknowledged event.

    A line is on its way to disk before the receipt resolves.

    Many processes may write journals into one folder, each its own file. A process that was killed
    and started again appends to its old file: the same event may then stand in it twice. A line
    that was written in part keeps to itself: the next one begins on a line of its own.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a+b", buffering=0)
        self._torn = _ends_torn(path)

    def acknowledged(self, record: OutgoingRecord, acknowledgement: Acknowledgement) -> None:
        """Write one line, in one system call. Raises OSError when it is not written whole."""
        line = {
            "position": str(acknowledgement),
            "value": base64.b64encode(record.value or b"").decode(),
        }
        written = (LINE_END if self._torn else b"") + orjson.dumps(line) + LINE_END
        length = self._file.write(written)
        self._torn = self._torn if not length else length != len(written)
        if length != len(written):
            raise OSError(errno.ENOSPC, f"only {length} of {len(written)} bytes were written")

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_journal(path: Path, start: int = 0) -> tuple[list[bytes], int]:
    """The framed events of a journal from a byte on, and where to read on later.

    A last line without its end is left for later: it is being written, or its writer was killed
    before it acted. A piece of a line that a writer left behind is no event and is left out.
    """
    with path.open("rb") as journal:
        journal.seek(start)
        whole, _, _ = journal.read().rpartition(LINE_END)
    lines = [line for line in whole.split(LINE_END) if line.endswith(OBJECT_END)]
    values = [base64.b64decode(orjson.loads(line)["value"]) for line in lines]
    return values, start + (len(whole) + 1 if whole else 0)


def _ends_torn(path: Path) -> bool:
    with path.open("rb") as journal:
        size = journal.seek(0, 2)
        journal.seek(max(0, size - 1))
        return journal.read(1) not in (b"", LINE_END)
