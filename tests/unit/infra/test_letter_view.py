"""A letter is shown with all that is known of it, whether or not its bytes are an event."""

from __future__ import annotations

import json
import sys

import pytest

from infra.letter_tables import print_rows
from infra.letter_view import Decoded, dump, order_summary, row, whole
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.errors import TruncatedEvent
from schemas.event import EventFactory, Metadata
from schemas.events.system import SystemWorkerStarted
from streams.parking.letter import LetterState
from streams.parking.letters import Backlog, Letters
from streams.parking.ordering import Ordered, Outcome
from tests.unit.streams.failed_letters import letter, record

CATALOG = Catalog.load()
BEHIND = LetterState.BEHIND


def test_a_row_says_what_failed_why_and_how_many_wait() -> None:
    failed = letter(1)
    shown = row(failed, Backlog([failed, letter(2, BEHIND)]), Letters())
    assert shown == {
        "id": "team.main/notify/events.domain.low/2/1",
        "app": "team",
        "subscription": "team.main",
        "handler": "notify",
        "state": "parked",
        "type": "order.placed",
        "eventId": "event-1",
        "reason": "ValueError",
        "lastError": "ValueError: no",
        "tries": 3,
        "since": "2026-01-02T03:04:06.000+00:00",
        "dueAt": None,
        "behind": 1,
        "order": None,
    }


def test_an_event_is_shown_with_its_failure_in_its_metadata() -> None:
    event = EventFactory(CATALOG, "tests").create(
        SystemWorkerStarted(process="p", host="h", pid=1),
        metadata=Metadata(user_id="u", trace_id="t", extra={"more": "text"}),
    )
    value = Codec(CATALOG).encode(event)
    failed = letter(1, record=record(1, value=value))
    behind = letter(2, BEHIND)
    shown = whole(failed, Decoded(event=event), Backlog([failed, behind]), Letters())
    assert json.loads(json.dumps(shown))["event"]["data"] == {"process": "p", "host": "h", "pid": 1}
    assert shown["event"]["metadata"] == {
        "userId": "u",
        "traceId": "t",
        "retryCount": 3,
        "extra": {"more": "text"},
        "lastError": "ValueError: no",
        "deadLetteredAt": "2026-01-02T03:04:06.000+00:00",
    }
    assert shown["schemaId"] == CATALOG.writer_schema(event.type, event.version).id
    assert shown["position"] == {
        "topic": "events.domain.low",
        "partition": 2,
        "offset": 1,
        "timestampMs": 7,
    }
    assert shown["headers"] == {"ce_id": "event-1", "ce_type": "order.placed"}
    assert (shown["key"], shown["undecodable"], shown["dump"]) == ("Order/o1", None, None)
    assert shown["waitsBehind"] == [behind.id]


def test_bytes_that_are_no_event_are_shown_with_the_reason_and_their_beginning() -> None:
    failed = letter(1, record=record(1, value=b"\x00A" * 200))
    shown = whole(failed, Decoded(event=None, error=TruncatedEvent()), Backlog([failed]), Letters())
    assert shown["undecodable"].startswith("schemas.truncated_event: ")
    assert shown["event"]["id"] == "event-1"
    assert shown["event"]["data"] is None
    assert shown["event"]["metadata"]["retryCount"] == 3
    assert len(shown["dump"]) == 16
    assert shown["bytes"] == 400


def test_a_dump_has_offsets_digits_and_characters() -> None:
    assert dump(b"ab\x00\xff") == [f"000000  {'61 62 00 ff':<47}  ab.."]
    assert dump(b"") == []


def test_a_summary_counts_all_and_names_those_that_did_not_end() -> None:
    again = letter(2, tries=4, last_error="KeyError: 'x'", reason="KeyError")
    ordered = [
        Ordered(before=letter(1), outcome=Outcome.DONE, now=None),
        Ordered(before=letter(2), outcome=Outcome.FAILED, now=again),
        Ordered(before=letter(3), outcome=Outcome.ORDERED, now=letter(3)),
    ]
    summary = order_summary("redrive", ordered)
    counted = {name: summary[name] for name in ("ordered", "done", "failedAgain", "open")}
    assert counted == {"ordered": 3, "done": 1, "failedAgain": 1, "open": 1}
    assert [it["id"] for it in summary["letters"]] == [letter(2).id, letter(3).id]
    assert summary["letters"][0]["lastError"] == "KeyError: 'x'"


@pytest.mark.parametrize("columns", [80, 200])
def test_an_id_stands_in_one_line_on_any_terminal(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    failed = letter(1, handler="a-handler-with-a-name-of-some-length", record=record(12345))
    print_rows([row(failed, Backlog([failed, letter(2, BEHIND)]), Letters())])
    shown = capsys.readouterr().out
    assert failed.id in shown
    assert "ValueError" in shown
