"""Given events, when an event, then events and tables: the test of an app's handlers and folds.

    outcome = await AppScenario(app).given(AnalysisStarted(...)).when(
        AnalysisCompleted(...), times=2
    )
    outcome.then(NotificationSent(...))
    outcome.then_table("inbox", {"python": {"messages": ["json: 5 files analysed"]}})

The app runs as in production, on a log in process: `times=2` delivers everything twice, as after a
crash, and what a second delivery changes is an AssertionError.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event
from schemas.headers import event_headers
from schemas.key_ring import MemoryKeyRing
from streams.app import MAIN, App
from streams.memory.log import MemoryLog
from streams.memory.worker import MemoryWorker
from streams.parking.letter import HANDLER, LAST_ERROR
from streams.projection import State
from streams.receipt import Acknowledgement
from streams.records import OutgoingRecord, first_header
from streams.testing.events import (
    FIRST_TIME,
    Told,
    counting_factory,
    data_of,
    difference,
    packaged_catalog,
    whole_event,
)

Tables = Mapping[str, Mapping[str, State]]
"""States by projection and key."""


class AppScenario:
    """The main subscription of an app, and its sagas, whose log begins with what is given.

    Handlers with a subscription of their own do not run: they would not run in this process either.
    """

    def __init__(self, app: App, *, catalog: Catalog | None = None) -> None:
        """`catalog`: the event types, those of the platform when it is left out."""
        self._app = app
        self._catalog = catalog or packaged_catalog()
        self._factory = counting_factory(self._catalog)
        self._given: tuple[Event[Any], ...] = ()

    def given(self, *history: Told) -> "AppScenario":
        """The app has worked on these events, each once; what they brought about is left alone."""
        self._given += tuple(self._event(told) for told in history)
        return self

    async def when(self, *told: Told, times: int = 1) -> "AppOutcome":
        """The app works on these events, all of them again with each further time.

        Raises AssertionError when a further time changes a table, emits an event that was not
        emitted before, or emits one of them otherwise.
        """
        run = _Run(self._app, self._catalog)
        await run.deliver(self._given)
        run.log.written.clear()
        events = [self._event(one) for one in told]
        await run.deliver(events)
        outcome = run.outcome(events)
        for _ in range(times - 1):
            await run.deliver(events)
            outcome.is_repeated_by(run.outcome(events))
        return outcome

    def _event(self, told: Told) -> Event[Any]:
        return whole_event(told, self._catalog, self._factory)


class AppOutcome:
    """What an app has made of events."""

    def __init__(
        self, events: Sequence[Event[Any]], tables: Tables, failures: Sequence[str]
    ) -> None:
        self.events = tuple(events)
        self.tables = tables
        self.failures = tuple(failures)

    def then(self, *expected: Told) -> "AppOutcome":
        """Exactly these events were emitted, in this order; compared by their data."""
        if self.failures:
            raise AssertionError(difference("an event could not be handled", (), self.failures))
        if data_of(self.events) != data_of(expected):
            what = "other events were emitted"
            raise AssertionError(difference(what, data_of(expected), data_of(self.events)))
        return self

    def then_table(
        self, projection: str, expected: Mapping[str, Mapping[str, Any]]
    ) -> "AppOutcome":
        """The projection has exactly these states by key."""
        if self.failures:
            raise AssertionError(difference("an event could not be handled", (), self.failures))
        found = self.tables.get(projection)
        if found is None:
            what = f"there is no projection {projection!r}"
            raise AssertionError(difference(what, [projection], self.tables))
        if found != expected:
            what = f"the table {projection!r} is another"
            raise AssertionError(difference(what, expected.items(), found.items()))
        return self

    def then_failed(self, message: str) -> "AppOutcome":
        """An event became a dead letter, whose handler and error text have `message` in them."""
        if not any(message in failure for failure in self.failures):
            what = "nothing failed like this"
            raise AssertionError(difference(what, [message], self.failures))
        return self

    def is_repeated_by(self, again: "AppOutcome") -> None:
        """Raise AssertionError when the same events, delivered again, have changed something."""
        if again.events != self.events:
            what = "delivered again, other events were emitted"
            raise AssertionError(difference(what, data_of(self.events), data_of(again.events)))
        for name, table in self.tables.items():
            if again.tables[name] != table:
                what = f"delivered again, the table {name!r} has changed"
                found = again.tables[name].items()
                raise AssertionError(difference(what, table.items(), found))


class _WrittenLog(MemoryLog):
    """A log that knows in which order its records were written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[OutgoingRecord] = []

    def append(self, record: OutgoingRecord) -> Acknowledgement:
        """See MemoryLog."""
        self.written.append(record)
        return super().append(record)


class _Run:
    """One run of an app."""

    def __init__(self, app: App, catalog: Catalog) -> None:
        self.log = _WrittenLog()
        keys = MemoryKeyRing()
        self._codec = Codec(catalog, keys=keys)
        self._tables = [known.name for known in app.workload(MAIN).projections]
        self._worker = MemoryWorker(
            app, self.log, catalog, clock=lambda: FIRST_TIME, sleep=_at_once, keys=keys
        )

    async def deliver(self, events: Sequence[Event[Any]]) -> None:
        for event in events:
            value, headers = self._codec.encode(event), event_headers(event)
            self.log.append(OutgoingRecord(event.topic, event.key.encode(), value, headers))
        await self._worker.run_until_idle()

    def outcome(self, delivered: Sequence[Event[Any]]) -> AppOutcome:
        """What was written since, but for what was delivered; copies of an event are one."""
        known = {event.id for event in delivered}
        emitted: dict[str, Event[Any]] = {}
        failures = []
        for record in self.log.written:
            if record.topic.startswith("dlq."):
                failures.append(_failure(record))
            elif record.topic.startswith("events."):
                event = self._codec.view(record.value or b"")
                if event.id not in known and emitted.setdefault(event.id, event) != event:
                    what = "the same event was emitted with other data"
                    raise AssertionError(
                        difference(what, data_of([emitted[event.id]]), data_of([event]))
                    )
        tables = {name: dict(self._worker.table(name)) for name in self._tables}
        return AppOutcome(tuple(emitted.values()), tables, failures)


def _failure(record: OutgoingRecord) -> str:
    handler, error = (first_header(record.headers, name) or b"" for name in (HANDLER, LAST_ERROR))
    return f"{handler.decode()}: {error.decode()}"


async def _at_once(_seconds: float) -> None:
    """Waits before another try are none of a test's business."""
