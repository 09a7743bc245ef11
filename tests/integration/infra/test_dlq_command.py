"""`wundr dlq` as an operator uses it, on a real broker."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from infra.topics import apply, plan
from schemas.event import Event
from schemas.topics import dead_letter_topic, failure_topics, platform_topics
from streams.kafka.sender import KafkaSender
from streams.parking.letter import Letter, LetterState
from streams.parking.orders import Order, OrderKind
from streams.records import OutgoingRecord
from streams.settings import KafkaSettings
from tests.integration.infra.letter_rig import CATALOG, CODEC, LetterRig, file_event

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

PARTITIONS = 4
DEADLINE_S = 30.0
DATA = dict(file_event("x.py").payload)


@pytest.fixture
async def rig(
    kafka_bootstrap: str, fresh_database: str, working_folder: Path
) -> AsyncIterator[LetterRig]:
    app = f"app-{uuid.uuid4().hex[:8]}"
    specs = [*platform_topics(CATALOG, PARTITIONS), *failure_topics(app, PARTITIONS)]
    await asyncio.to_thread(lambda: apply(kafka_bootstrap, plan(kafka_bootstrap, specs)))
    kafka = KafkaSettings(bootstrap=kafka_bootstrap, partitions=PARTITIONS)
    sender = KafkaSender(kafka)
    yield LetterRig(
        kafka=kafka,
        app=app,
        folder=working_folder,
        settings={
            "WUNDR_PROVIDER": "external",
            "WUNDR_KAFKA_BOOTSTRAP": kafka_bootstrap,
            "WUNDR_POSTGRES_DSN": fresh_database,
        },
        sender=sender,
    )
    await sender.close()


async def edits_of(rig: LetterRig, letter: Letter) -> list[Event[Any]]:
    """The audit events about a letter."""
    records = await rig.read("events.system.high")
    events = [CODEC.view(record.value or b"") for record in records]
    return [event for event in events if event.payload.get("letterId") == letter.id]


async def test_letters_are_listed_and_counted_in_groups(rig: LetterRig) -> None:
    a, b = rig.parked("a.py"), rig.parked("b.py", reason="KeyError", handler="count")
    waiting = rig.letter(file_event("c.py"), LetterState.WAITING, due_at=a.failed_at)
    gone = rig.parked("d.py")
    await rig.write(a, rig.behind("a.py"), rig.behind("a.py"), b, waiting, gone, gone.ended())
    await rig.write(OutgoingRecord(dead_letter_topic(rig.app), b"stranger", b"bytes", (), 0))

    listed = await rig.listed("list", rig.app)
    assert [(it["id"], it["state"], it["behind"]) for it in listed] == [
        (b.id, "parked", 0),
        (a.id, "parked", 2),
        (waiting.id, "waiting", 0),
    ]
    groups = await rig.listed("list", rig.app, "--group-by", "error")
    assert [(it["error"], it["parked"], it["waiting"], it["behind"]) for it in groups] == [
        ("ValueError", 1, 1, 2),
        ("KeyError", 1, 0, 0),
    ]
    shown = await rig.run("list", rig.app)
    assert shown.returncode == 0, shown.stderr
    assert a.id in shown.stdout
    assert "2 parked, 1 waiting for another try, 2 behind them" in shown.stdout
    assert f"left alone: {dead_letter_topic(rig.app)}/0/0 is no letter" in shown.stderr
    everything = await rig.listed("list")
    assert {it["id"] for it in listed} <= {it["id"] for it in everything}


async def test_an_app_that_keeps_no_letters_is_said(rig: LetterRig) -> None:
    for words in (("list", "nobody"), ("redrive", "--app", "nobody", "--all")):
        refused = await rig.run(*words)
        assert refused.returncode == 1
        assert "no app 'nobody' keeps letters on this cluster, only " in refused.stderr
        assert rig.app in refused.stderr.splitlines()[0]
        assert "wundr topics apply MODULE" in refused.stderr


async def test_a_letter_is_shown_with_its_event_or_with_the_reason_why_there_is_none(
    rig: LetterRig,
) -> None:
    whole, broken = rig.parked("a.py"), rig.parked("b.py", value=b"\x00\x01\x02no event")
    behind = rig.behind("a.py")
    await rig.write(whole, behind, broken)
    (shown,) = await rig.listed("show", str(whole.event_id))
    event = shown["event"]
    newest = DATA | {"path": "a.py", "imports": 0, "complexity": None}
    assert (event["id"], event["data"]) == (whole.event_id, newest)
    assert event["metadata"]["retryCount"] == 4
    assert event["metadata"]["lastError"] == "ValueError: no"
    assert event["metadata"]["deadLetteredAt"] == "2026-01-02T03:04:05.000+00:00"
    assert shown["waitsBehind"] == [behind.id]
    assert shown["headers"]["ce_id"] == whole.event_id
    assert shown["position"]["offset"] == 1

    (dumped,) = await rig.listed("show", broken.id)
    assert dumped["event"]["data"] is None
    assert dumped["undecodable"].startswith("schemas.unknown_schema_id")
    assert dumped["dump"][0].endswith("...no event")
    text = await rig.run("show", broken.id)
    assert text.returncode == 0, text.stderr
    assert "no event" in text.stdout

    missing = await rig.run("show", "nothing/like/this/0/1")
    assert missing.returncode == 1
    assert "no letter and no event of a letter is called nothing/like/this/0/1" in missing.stderr


async def test_a_group_is_redriven_and_what_fails_again_is_told_with_its_new_error(
    rig: LetterRig,
) -> None:
    letters = [rig.parked(f"{number}.py") for number in range(12)]
    other = rig.parked("other.py", reason="KeyError")
    await rig.write(*letters, other)
    filters = ("--app", rig.app, "--error", "ValueError")

    dry = await rig.listed("redrive", *filters, "--dry-run")
    assert {it["id"] for it in dry} == {it.id for it in letters}
    asked = await rig.run("redrive", *filters)
    assert asked.returncode == 2
    assert "12 letters: say --yes" in asked.stderr
    assert await rig.orders() == {}

    async with rig.owner(letters, letters[3], letters[7]):
        redriven = await rig.run("redrive", *filters, "--yes", "--json", "--rate", "50/s")
    assert redriven.returncode == 1, redriven.stderr
    summary = json.loads(redriven.stdout)
    assert (summary["ordered"], summary["done"], summary["failedAgain"]) == (12, 10, 2)
    assert [(it["id"], it["lastError"]) for it in summary["letters"]] == [
        (letters[3].id, "KeyError: 'path'"),
        (letters[7].id, "KeyError: 'path'"),
    ]
    assert {order.kind for order in rig.taken} == {OrderKind.REDRIVE}
    live = {it.id for it in (await rig.live()).live()}
    assert live == {letters[3].id, letters[7].id, other.id}
    assert await rig.orders() == {}


async def test_orders_wait_where_no_worker_runs_and_are_carried_out_by_the_next_one(
    rig: LetterRig,
) -> None:
    letters = [rig.parked("a.py"), rig.parked("b.py")]
    await rig.write(*letters)
    refused = await rig.run(
        "redrive", "--app", rig.app, "--all", "--yes", "--patience", "0.5", "--json"
    )
    assert refused.returncode == 1
    assert json.loads(refused.stdout)["open"] == 2
    assert "within 0.5 s no worker has carried out what was ordered about " in refused.stderr
    assert "wundr worker" in refused.stderr
    assert set(await rig.orders()) == {it.id for it in letters}
    assert [it["order"] for it in await rig.listed("list", rig.app)] == ["redrive", "redrive"]

    async with rig.owner(letters), asyncio.timeout(DEADLINE_S):
        while (await rig.live()).live():
            pass
    assert {order.kind for order in rig.taken} == {OrderKind.REDRIVE}


async def test_letters_are_dropped_by_their_ids(rig: LetterRig) -> None:
    letters = [rig.parked("a.py"), rig.parked("b.py")]
    await rig.write(*letters)
    async with rig.owner(letters):
        dropped = await rig.run("drop", letters[0].id, str(letters[1].event_id), "--yes")
    assert dropped.returncode == 0, dropped.stderr
    assert "2 ordered: 2 dropped" in dropped.stdout
    assert {order.kind for order in rig.taken} == {OrderKind.DROP}
    assert (await rig.live()).live() == []


async def test_without_waiting_orders_are_given_and_nothing_is_said_of_them(
    rig: LetterRig,
) -> None:
    letter = rig.parked("a.py")
    await rig.write(letter)
    (summary,) = await rig.listed("drop", letter.id, "--no-wait")
    assert (summary["ordered"], summary["open"]) == (1, 1)
    assert await rig.orders() == {
        letter.id: Order(app=rig.app, letter_id=letter.id, kind=OrderKind.DROP)
    }


async def test_one_that_waits_behind_another_is_not_redriven_before_it(rig: LetterRig) -> None:
    head, behind = rig.parked("a.py"), rig.behind("a.py")
    await rig.write(head, behind)
    refused = await rig.run("redrive", behind.id)
    assert refused.returncode == 1
    assert f"waits behind {head.id}" in refused.stderr
    assert await rig.orders() == {}


async def test_a_letter_of_the_sink_is_dropped_at_once_and_never_redriven(rig: LetterRig) -> None:
    letter = rig.parked(
        "a.py", app="wundr", group="wundr.sink", handler=f"sink-{rig.app}", is_alone=True
    )
    await rig.write(letter)
    refused = await rig.run("redrive", letter.id)
    assert refused.returncode == 1
    assert "a letter of wundr.sink, which redrives none" in refused.stderr
    dropped = await rig.run("drop", letter.id)
    assert dropped.returncode == 0, dropped.stderr
    assert letter.id not in [it["id"] for it in await rig.listed("list", "wundr")]


async def test_an_edit_is_ordered_with_the_new_bytes_and_written_down(rig: LetterRig) -> None:
    letter = rig.parked("x.py")
    await rig.write(letter)
    data = json.dumps(DATA | {"lines": 99})
    async with rig.owner([letter]):
        edited = await rig.run("edit", letter.id, "--data", data, "--reason", "miscounted")
    assert edited.returncode == 0, edited.stderr
    assert "1 handled with the new data" in edited.stdout
    (order,) = rig.taken
    assert order.value is not None
    event = CODEC.view(order.value)
    assert (event.id, event.version, event.payload["lines"]) == (letter.event_id, "1.1.0", 99)
    (audit,) = await edits_of(rig, letter)
    assert audit.type == "system.letter.edited"
    assert audit.causation_id == letter.event_id
    assert audit.data.reason == "miscounted"
    assert audit.data.before == sha256(letter.record.value or b"").hexdigest()
    assert audit.data.after == sha256(order.value).hexdigest()


async def test_an_edit_that_does_not_fit_is_refused_and_nothing_is_ordered(rig: LetterRig) -> None:
    letter = rig.parked("x.py")
    await rig.write(letter)
    refused = await rig.run("edit", letter.id, "--data", json.dumps(DATA | {"lines": "many"}))
    assert refused.returncode == 1
    assert "data.lines: expected a whole number" in refused.stderr
    assert await rig.orders() == {}
    assert await edits_of(rig, letter) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("redrive",), "name letters, or say which"),
        (("redrive", "an-id", "--all"), "name letters, or say which"),
        (("redrive", "--all", "--rate", "fast"), "is no rate"),
        (("redrive", "--type", "a b"), "'a b' is no pattern of event types"),
        (("edit", "an-id", "--data", "{"), "is not JSON"),
        (("edit", "an-id", "--data", "[]"), "is not a JSON object"),
    ],
)
async def test_wrong_usage_is_told_before_anything_is_read(
    rig: LetterRig, words: tuple[str, ...], said: str
) -> None:
    refused = await rig.run(*words)
    assert refused.returncode == 2
    assert said in " ".join(refused.stderr.replace("│", " ").split())
