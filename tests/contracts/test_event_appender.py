"""What every CommandAppender promises, in process and on PostgreSQL alike."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import pytest

from connectors.outbox import OutboxRow
from connectors.postgres.database import Database
from connectors.postgres.event_appender import PostgresEventAppender
from connectors.postgres.migrations import migrate
from connectors.settings import PostgresSettings
from schemas.codec import Codec
from schemas.envelope import Aggregate
from schemas.errors import EventTooLarge, InvalidEventData, UnknownEventType
from schemas.event import Event
from streams.appending import COMMAND_ID
from streams.errors import PublishRequired, VersionConflict
from streams.event_store import CommandAppender
from streams.expectation import ANY_VERSION, NO_EVENTS, Appended, ExpectedVersion
from streams.memory.appender import MemoryEventAppender
from streams.memory.log import MemoryLog
from streams.memory.schemas import MemoryWriterSchemas
from streams.publisher import event_record
from streams.records import OutgoingRecord
from tests.contracts.accounts import CATALOG, credited, opened, published, versions, with_extra
from tests.contracts.rigs import unique

CODEC = Codec(CATALOG)
TOPIC = "events.domain.high"


class AppenderRig(Protocol):
    """Makes appenders as processes of one installation have them, and looks behind their backs."""

    def appender(self) -> CommandAppender:
        """The appender of another process."""
        ...

    async def sent(self) -> list[OutgoingRecord]:
        """The records that are on their way or in the topic, in the order of each aggregate."""
        ...


@dataclass
class MemoryAppenderRig:
    """The log is the store."""

    log: MemoryLog

    def appender(self) -> CommandAppender:
        codec = Codec(CATALOG)
        return MemoryEventAppender(
            self.log, CATALOG, codec, MemoryWriterSchemas(self.log, codec, wait_s=0)
        )

    async def sent(self) -> list[OutgoingRecord]:
        return [
            OutgoingRecord(topic=it.topic, key=it.key, value=it.value, headers=it.headers)
            for it in self.log.topic(TOPIC)
        ]


@dataclass
class PostgresAppenderRig:
    """Each appender has connections of its own."""

    databases: list[Database]

    def appender(self) -> CommandAppender:
        self.databases = [*self.databases[1:], self.databases[0]]
        return PostgresEventAppender(self.databases[0], CATALOG, Codec(CATALOG))

    async def sent(self) -> list[OutgoingRecord]:
        async with self.databases[0].connection() as connection:
            found = await connection.execute(
                "SELECT position, id, type, payload, topic, key, traceparent"
                " FROM outbox ORDER BY position"
            )
            return [OutboxRow(*row).record() for row in await found.fetchall()]


@asynccontextmanager
async def on_postgres(dsn: str) -> AsyncIterator[AppenderRig]:
    settings = PostgresSettings(dsn=dsn)
    await migrate(settings)
    async with Database(settings) as one, Database(settings) as other:
        yield PostgresAppenderRig([one, other])


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.postgres)])
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[AppenderRig]:
    if request.param == "memory":
        yield MemoryAppenderRig(MemoryLog())
        return
    async with on_postgres(request.getfixturevalue("fresh_database")) as made:
        yield made


async def values(rig: AppenderRig) -> list[Event[Any]]:
    return [CODEC.view(record.value or b"") for record in await rig.sent()]


async def test_the_store_counts_versions_and_returns_the_events_with_them(
    rig: AppenderRig,
) -> None:
    appender = rig.appender()
    first = await appender.append([opened("a")], NO_EVENTS)
    second = await appender.append(
        [credited("a", 1), credited("a", 2)], ExpectedVersion.exact(first.version)
    )
    assert (first.version, second.version) == (1, 3)
    assert not second.is_repeat
    assert versions(second.events) == [2, 3]
    assert await values(rig) == [*first.events, *second.events]


async def test_an_appended_event_is_sent_as_a_published_one_would_be(rig: AppenderRig) -> None:
    appended = await rig.appender().append([opened("a"), credited("a")], NO_EVENTS)
    expected = [event_record(event, CODEC.encode(event)) for event in appended.events]
    assert await rig.sent() == expected


@pytest.mark.parametrize(
    "expected", [NO_EVENTS, ExpectedVersion.exact(1), ExpectedVersion.exact(9)]
)
async def test_a_stale_or_early_append_is_refused_with_the_true_version(
    rig: AppenderRig, expected: ExpectedVersion
) -> None:
    await rig.appender().append([opened("a"), credited("a")], NO_EVENTS)
    with pytest.raises(VersionConflict) as refusal:
        await rig.appender().append([credited("a"), credited("a")], expected)
    assert (refusal.value.expected, refusal.value.actual) == (expected.version, 2)
    assert refusal.value.aggregate == "Account/a"
    assert len(await rig.sent()) == 2


async def test_any_version_appends_behind_whatever_is_there(rig: AppenderRig) -> None:
    for expected in range(1, 4):
        appended = await rig.appender().append([credited("a")], ANY_VERSION)
        assert appended.version == expected
    other = await rig.appender().append([credited("b")], ANY_VERSION)
    assert other.version == 1


async def test_a_command_that_is_tried_again_gets_its_first_result(rig: AppenderRig) -> None:
    first = await rig.appender().append(
        [opened("a"), credited("a", 5)], NO_EVENTS, command_id="open-a"
    )
    await rig.appender().append([credited("a", 6)], ANY_VERSION)
    for expected in (NO_EVENTS, ANY_VERSION, ExpectedVersion.exact(3)):
        again = await rig.appender().append(
            [opened("a"), credited("a", 7)], expected, command_id="open-a"
        )
        assert again == Appended(events=first.events, version=2, is_repeat=True)
    assert len(await rig.sent()) == 3


async def test_what_a_command_brought_about_is_known_afterwards(rig: AppenderRig) -> None:
    first = await rig.appender().append(
        [opened("a"), credited("a", 5)], NO_EVENTS, command_id="open-a"
    )
    await rig.appender().append([credited("a", 6)], ANY_VERSION, command_id="credit-a")
    found = await rig.appender().result_of("Account", "a", "open-a")
    assert found == Appended(events=first.events, version=2, is_repeat=True)
    for not_carried_out in (
        ("Account", "a", "close-a"),
        ("Account", "b", "open-a"),
        ("NoSuchAggregate", "a", "open-a"),
    ):
        assert await rig.appender().result_of(*not_carried_out) is None


async def test_the_command_stands_in_the_metadata_so_that_a_restore_knows_it(
    rig: AppenderRig,
) -> None:
    event = opened("a", metadata=with_extra(tenant="t"))
    appended = await rig.appender().append([event, credited("a")], NO_EVENTS, command_id="c-1")
    assert [dict(it.metadata.extra) for it in appended.events] == [
        {"tenant": "t", COMMAND_ID: "c-1"},
        {COMMAND_ID: "c-1"},
    ]


async def test_a_command_id_that_a_cause_handed_on_is_not_kept(rig: AppenderRig) -> None:
    handed_on = with_extra(**{COMMAND_ID: "of the cause"})
    await rig.appender().append([opened("a", metadata=handed_on)], NO_EVENTS)
    appended = await rig.appender().append([credited("a")], ANY_VERSION, command_id="of the cause")
    assert (appended.version, appended.is_repeat) == (2, False)


async def test_a_command_may_append_to_several_aggregates(rig: AppenderRig) -> None:
    for account in ("a", "b"):
        appended = await rig.appender().append([opened(account)], NO_EVENTS, command_id="c")
        assert not appended.is_repeat


async def test_of_one_command_at_the_same_time_one_is_carried_out(rig: AppenderRig) -> None:
    appenders = [rig.appender() for _ in range(2)]
    results = await asyncio.gather(
        *(
            appenders[number % 2].append([credited("a", number)], ANY_VERSION, command_id="c")
            for number in range(8)
        )
    )
    assert sorted(result.is_repeat for result in results) == [False] + [True] * 7
    assert {result.events for result in results} == {results[0].events}
    assert len(await rig.sent()) == 1


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (published, PublishRequired),
        (lambda: credited("b"), InvalidEventData),
        (lambda: credited("a", note="half a pair \ud800"), InvalidEventData),
        (lambda: credited("a", note="x" * 1_000_001), EventTooLarge),
        (lambda: of_type("account.closed"), UnknownEventType),
    ],
)
async def test_a_bad_event_refuses_the_append_whole(
    rig: AppenderRig, spoil: Callable[[], Event[Any]], error: type[Exception]
) -> None:
    with pytest.raises(error):
        await rig.appender().append([opened("a"), credited("a"), spoil()], ANY_VERSION)
    assert await rig.sent() == []


def of_type(event_type: str) -> Event[Any]:
    event = opened("a")
    return Event(event.envelope._replace(type=event_type), event.data)


async def test_an_id_that_is_stored_already_refuses_the_append_whole(rig: AppenderRig) -> None:
    first = await rig.appender().append([opened("a")], NO_EVENTS)
    twice = credited("a")
    for events in ([credited("a"), credited("a", id=first.events[0].id)], [twice, twice]):
        with pytest.raises(InvalidEventData, match="id"):
            await rig.appender().append(events, ANY_VERSION)
    assert len(await rig.sent()) == 1


async def test_nothing_and_unusable_command_ids_are_refused(rig: AppenderRig) -> None:
    with pytest.raises(InvalidEventData, match="nothing to append"):
        await rig.appender().append([], ANY_VERSION)
    for command_id in ("", "a\x00b", "x" * 501, "\udfff"):
        with pytest.raises(InvalidEventData, match="command_id"):
            await rig.appender().append([opened("a")], ANY_VERSION, command_id=command_id)
    assert await rig.sent() == []


async def test_versions_that_a_caller_has_set_are_replaced(rig: AppenderRig) -> None:
    event = opened("a")
    claimed = Event(event.envelope._replace(aggregate=Aggregate("Account", "a", 77)), event.data)
    appended = await rig.appender().append([claimed], NO_EVENTS)
    assert versions(appended.events) == [1]


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(
    "bad",
    [{"note": "a\x00b"}, {"rate": math.inf}, {"rate": 1e308}, {"note": "'; DROP TABLE events; --"}],
)
async def test_values_that_json_or_sql_trip_over_come_back_as_they_were(
    rig: AppenderRig, bad: dict[str, Any], count: int
) -> None:
    events = [credited("ä/'\"\\", **bad) for _ in range(count)]
    await rig.appender().append(events, NO_EVENTS)
    assert [event.payload for event in await values(rig)] == [event.payload for event in events]


async def test_not_a_number_is_kept(rig: AppenderRig) -> None:
    await rig.appender().append([credited("a", rate=math.nan)], NO_EVENTS)
    [event] = await values(rig)
    assert math.isnan(event.payload["rate"])


async def test_writers_that_decide_again_after_a_conflict_all_get_through(
    rig: AppenderRig,
) -> None:
    account = unique("a")
    appenders = [rig.appender() for _ in range(4)]

    async def write(writer: int) -> list[int]:
        won: list[int] = []
        expected = 0
        while len(won) < 5:
            event = credited(account, writer)
            try:
                done = await appenders[writer % 4].append([event], ExpectedVersion.exact(expected))
            except VersionConflict as conflict:
                expected = conflict.actual
            else:
                won.append(done.version)
                expected = done.version
        return won

    won = await asyncio.gather(*(write(writer) for writer in range(10)))
    assert sorted(version for each in won for version in each) == list(range(1, 51))
    assert versions(await values(rig)) == list(range(1, 51))
