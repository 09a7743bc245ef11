"""Before a worker joins its group: find the app, count partitions, wait for a broker."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from streams.app import App
from streams.attempts import Attempts
from streams.errors import BrokerUnavailable, PartitionMismatch, RecordRefused
from streams.receipt import Acknowledgement, Receipt
from streams.records import OutgoingRecord, TopicPartition
from streams.retry import RetrySchedule
from streams.runtime.errors import AppNotFound, AppNotImported
from streams.runtime.loading import load_app
from streams.runtime.patience import PatientSender
from streams.runtime.preflight import check_partition_counts

RECORD = OutgoingRecord(topic="t", key=None, value=b"v")


def test_an_app_is_found_by_its_module_or_by_its_name_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = "from streams.app import App\napp = App('one')\nother = App('two')\n"
    (tmp_path / "team_of_this_test.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "team_of_this_test", raising=False)
    assert isinstance(load_app("team_of_this_test"), App)
    assert load_app("team_of_this_test").name == "one"
    assert load_app("team_of_this_test:other").name == "two"


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("no.such.module", "no module 'no.such.module'"),
        ("json", "no app named 'app'"),
        ("json:loads", "no app named 'loads'"),
        ("", "'' is no import path"),
        (":app", "':app' is no import path"),
        (".app", "'.app' is no import path"),
        ("..", "'..' is no import path"),
    ],
)
def test_a_path_that_leads_to_no_app_is_named(path: str, said: str) -> None:
    with pytest.raises(AppNotFound, match=said):
        load_app(path)


@pytest.mark.parametrize(
    ("name", "source", "kind", "cause"),
    [
        ("needy", "\nimport absent_library\n", "ModuleNotFoundError", "absent_library"),
        ("torn", "\ndef f(:\n", "SyntaxError", "invalid syntax"),
        ("wrong", "\nraise ValueError('no')\n", "ValueError", "no"),
        ("ends", "\nimport sys; sys.exit('no')\n", "SystemExit", "no"),
        ("deep", "import json\njson.loads('{')\n", "JSONDecodeError", "double quotes"),
    ],
)
def test_a_module_that_does_not_import_is_named_with_the_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    source: str,
    kind: str,
    cause: str,
) -> None:
    file = tmp_path / f"{name}_of_this_test.py"
    file.write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(AppNotImported) as raised:
        load_app(f"{name}_of_this_test")
    said = f"module '{name}_of_this_test' does not import: {kind} at {file}:2"
    assert raised.value.message == said
    assert cause in str(raised.value.__cause__)


def test_every_topic_with_another_partition_count_is_named() -> None:
    found = [
        TopicPartition(topic, n)
        for topic, count in (("a", 4), ("b", 3), ("c", 6))
        for n in range(count)
    ]
    with pytest.raises(PartitionMismatch, match="b has 3, c has 6"):
        check_partition_counts(found, 4)
    check_partition_counts(found[:4], 4)


class Sender:
    """Fails with these errors first."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)

    async def send(self, record: OutgoingRecord) -> Receipt:
        """See RecordSender."""
        if self.errors:
            raise self.errors.pop(0)
        done: asyncio.Future[Acknowledgement] = asyncio.get_running_loop().create_future()
        done.set_result(Acknowledgement(record.topic, 0, 0))
        return Receipt("", done)

    async def flush(self) -> None:
        """See RecordSender."""

    async def close(self) -> None:
        """See RecordSender."""


async def test_a_sender_waits_as_long_as_the_broker_is_away_and_says_so() -> None:
    seen: list[str] = []

    async def sleep(_seconds: float) -> None:
        assert attempts.pause is not None
        seen.append(attempts.pause.waiting_for)

    attempts = Attempts(RetrySchedule(tries=2), sleep)
    sender = PatientSender(Sender(*[BrokerUnavailable() for _ in range(7)]), attempts)
    assert (await (await sender.send(RECORD))).topic == "t"
    assert seen == ["topic t"] * 7
    assert attempts.pause is None


async def test_a_sender_raises_what_no_waiting_heals() -> None:
    async def sleep(_seconds: float) -> None:
        """Tries follow each other at once."""

    refusals = [RecordRefused() for _ in range(3)]
    sender = PatientSender(Sender(*refusals), Attempts(RetrySchedule(), sleep))
    with pytest.raises(RecordRefused):
        await sender.send(RECORD)
