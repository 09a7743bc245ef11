"""The journal of a worker is open for as long as acknowledgements may come."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from streams.app import App
from streams.journal import FileJournal, read_journal
from streams.publisher import Journal
from streams.receipt import Acknowledgement
from streams.records import OutgoingRecord
from streams.runtime import worker
from streams.runtime.running import WorkerSettings
from streams.settings import KafkaSettings


@dataclass
class DrainingSender:
    """A sender that gets its last acknowledgement while it is being closed."""

    journals: list[Journal] = field(default_factory=list)

    async def start(self) -> None:
        """Connected."""

    async def close(self) -> None:
        record = OutgoingRecord(topic="t", key=b"k", value=b"the last one")
        self.journals[0].acknowledged(record, Acknowledgement("t", 0, 7))


class ReachedTheGroup(Exception):
    """The worker began its work."""


async def test_what_is_acknowledged_while_the_sender_drains_is_journalled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender, path = DrainingSender(), tmp_path / "worker.jsonl"

    def prepare(*arguments: Any) -> None:
        sender.journals += [given for given in arguments if isinstance(given, FileJournal)]
        raise ReachedTheGroup

    monkeypatch.setattr(worker, "KafkaSender", lambda _: sender)
    monkeypatch.setattr(worker, "_prepared", prepare)
    settings = WorkerSettings(
        kafka=KafkaSettings(bootstrap="127.0.0.1:1"), data_dir=tmp_path, journal=path
    )
    with suppress(ReachedTheGroup):
        await worker.run_app_worker(App("team"), settings, asyncio.Event())
    assert read_journal(path)[0] == [b"the last one"]
