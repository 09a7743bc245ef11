"""The acknowledged events of a run, from the journals of all its processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from examples.analysis.demo.journals import Journals
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event, EventFactory
from schemas.events.ui import UiDashboardOpened
from schemas.headers import CE_ID
from streams.journal import FileJournal
from streams.receipt import Acknowledgement
from streams.records import OutgoingRecord

CATALOG = Catalog.load()
CODEC = Codec(CATALOG)
RUN = "run-1"


@pytest.fixture
def journals(tmp_path: Path) -> Journals:
    return Journals(tmp_path, CODEC, RUN)


def opened(run: str = RUN) -> Event[UiDashboardOpened]:
    data = UiDashboardOpened(project_id="core", user_id=None)
    return EventFactory(CATALOG, "test").create(data, correlation_id=run)


def acknowledge(path: Path, event: Event[Any]) -> None:
    journal = FileJournal(path)
    record = OutgoingRecord(topic=event.topic, key=None, value=CODEC.encode(event))
    journal.acknowledged(record, Acknowledgement(event.topic, 0, 0))
    journal.close()


def test_journals_are_read_on_as_they_grow(tmp_path: Path, journals: Journals) -> None:
    assert journals.look() == 0
    acknowledge(tmp_path / "a.jsonl", opened())
    assert journals.look() == 1
    acknowledge(tmp_path / "a.jsonl", opened())
    acknowledge(tmp_path / "b.jsonl", opened())
    assert journals.look() == 3


def test_an_event_that_two_lines_hold_is_one(tmp_path: Path, journals: Journals) -> None:
    event = opened()
    acknowledge(tmp_path / "a.jsonl", event)
    acknowledge(tmp_path / "a.jsonl", event)
    acknowledge(tmp_path / "b.jsonl", event)
    assert journals.look() == 1
    assert list(journals.events) == [event.id]


def test_what_was_left_of_an_earlier_run_is_not_counted(tmp_path: Path, journals: Journals) -> None:
    acknowledge(tmp_path / "a.jsonl", opened("run-0"))
    assert journals.look() == 0


def test_a_line_that_is_still_being_written_is_left_for_later(
    tmp_path: Path, journals: Journals
) -> None:
    path = tmp_path / "a.jsonl"
    acknowledge(path, opened())
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    assert journals.look() == 0
    path.write_bytes(whole)
    assert journals.look() == 1


def test_an_event_that_was_sent_and_not_acknowledged_is_only_published(
    tmp_path: Path, journals: Journals
) -> None:
    event = opened()
    journal = FileJournal(tmp_path / "a.jsonl")
    journal.published(
        OutgoingRecord(topic="t", key=None, value=b"", headers=((CE_ID, event.id.encode()),))
    )
    journal.close()
    assert (journals.look(), journals.published) == (0, 1)
    acknowledge(tmp_path / "a.jsonl", event)
    assert (journals.look(), journals.published) == (1, 1)
