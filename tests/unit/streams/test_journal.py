"""A journal holds what was promised, whole lines only, whatever its writer died of."""

from __future__ import annotations

import errno
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from streams.journal import FileJournal, read_journal
from streams.receipt import Acknowledgement
from streams.records import OutgoingRecord

PLACE = Acknowledgement("t", 0, 7)


def write(path: Path, *values: bytes) -> None:
    journal = FileJournal(path)
    for value in values:
        journal.acknowledged(OutgoingRecord(topic="t", key=b"k", value=value), PLACE)
    journal.close()


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size: the disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_what_is_written_is_read_from_where_one_stopped(tmp_path: Path) -> None:
    path = tmp_path / "journals" / "a.jsonl"
    write(path, b"one", b"two")
    values, _, read_on = read_journal(path)
    write(path, b"three")
    assert values == [b"one", b"two"]
    assert read_journal(path, read_on) == ([b"three"], [], path.stat().st_size)


def test_a_line_that_is_being_written_is_left_for_later(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write(path, b"one", b"two")
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    values, _, read_on = read_journal(path)
    path.write_bytes(whole)
    assert values == [b"one"]
    assert read_journal(path, read_on)[0] == [b"two"]


@pytest.mark.parametrize("cut", [1, 2, 5, 40])
def test_a_line_that_its_writer_left_torn_spoils_no_other(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.jsonl"
    write(path, b"one", b"two")
    path.write_bytes(path.read_bytes()[:-cut])
    values, _, read_on = read_journal(path)
    write(path, b"three")
    later = read_journal(path, read_on).acknowledged
    whole_again = [b"two"] if cut == 1 else []
    assert values + later == [b"one", *whole_again, b"three"]
    assert read_journal(path)[0] == [b"one", *whole_again, b"three"]


def test_a_full_disk_is_an_error_and_later_lines_are_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write(path, b"one")
    journal = FileJournal(path)
    event = OutgoingRecord(topic="t", key=b"k", value=b"two")
    with files_of_at_most(path.stat().st_size + 10):
        for _ in range(2):
            with pytest.raises(OSError, match=r"only 10 of|File too large") as full:
                journal.acknowledged(event, PLACE)
            assert full.value.errno in (errno.ENOSPC, errno.EFBIG)
    journal.acknowledged(event, PLACE)
    journal.close()
    assert read_journal(path)[0] == [b"one", b"two"]


def test_what_went_out_is_told_apart_from_what_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    journal = FileJournal(path)
    record = OutgoingRecord(topic="t", key=b"k", value=b"one", headers=(("ce_id", b"e-1"),))
    journal.published(record)
    journal.close()
    assert read_journal(path)[:2] == ([], ["e-1"])
    write(path, b"one")
    assert read_journal(path)[:2] == ([b"one"], ["e-1"])
