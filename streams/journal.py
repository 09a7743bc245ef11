"""The journal of acknowledged events: of published ones in Kafka, of appended ones committed.

What a process was promised, kept on disk, one JSON line each.
"""

import base64
import errno
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson

from schemas.event import Event
from schemas.headers import CE_ID
from streams.receipt import Acknowledgement
from streams.records import OutgoingRecord, first_header

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

    def published(self, record: OutgoingRecord) -> None:
        """Write down that an event goes out. Raises OSError when it is not written whole."""
        self._write({"published": (first_header(record.headers, CE_ID) or b"").decode()})

    def acknowledged(self, record: OutgoingRecord, acknowledgement: Acknowledgement) -> None:
        """Write down an acknowledged event. Raises OSError when it is not written whole."""
        value = base64.b64encode(record.value or b"").decode()
        self._write({"position": str(acknowledgement), "value": value})

    def appended(self, event: Event[Any], value: bytes) -> None:
        """Write down an event that was committed with its version; nothing of it goes out before.

        Raises OSError when it is not written whole.
        """
        aggregate = event.aggregate
        version = None if aggregate is None else aggregate.version
        self._write(
            {
                "published": event.id,
                "position": f"{event.key}@{version}",
                "value": base64.b64encode(value).decode(),
            }
        )

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, line: dict[str, str]) -> None:
        """One line, in one system call."""
        written = (LINE_END if self._torn else b"") + orjson.dumps(line) + LINE_END
        length = self._file.write(written)
        self._torn = self._torn if not length else length != len(written)
        if length != len(written):
            raise OSError(errno.ENOSPC, f"only {length} of {len(written)} bytes were written")


class JournalPart(NamedTuple):
    """A journal from some byte on: framed events, ids that went out, and where to read on."""

    acknowledged: list[bytes]
    published: list[str]
    read_on: int


def read_journal(path: Path, start: int = 0) -> JournalPart:
    """The lines of a journal from a byte on.

    A last line without its end is left for later: it is being written, or its writer was killed
    before it acted. A piece of a line that a writer left behind is no event and is left out.
    """
    with path.open("rb") as journal:
        journal.seek(start)
        whole, _, _ = journal.read().rpartition(LINE_END)
    lines = [orjson.loads(line) for line in whole.split(LINE_END) if line.endswith(OBJECT_END)]
    return JournalPart(
        [base64.b64decode(line["value"]) for line in lines if "value" in line],
        [line["published"] for line in lines if "published" in line],
        start + (len(whole) + 1 if whole else 0),
    )


def _ends_torn(path: Path) -> bool:
    with path.open("rb") as journal:
        size = journal.seek(0, 2)
        journal.seek(max(0, size - 1))
        return journal.read(1) not in (b"", LINE_END)
