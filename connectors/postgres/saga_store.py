"""Sagas in Postgres: a step, its events in the outbox and its deadlines are one transaction."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeVar

import structlog
from psycopg.errors import InFailedSqlTransaction

from connectors.errors import DatabaseRefused
from connectors.postgres.database import Connection, Database
from connectors.postgres.event_appender import PostgresEventAppender
from connectors.postgres.same_transaction import SameTransaction
from connectors.saga_rows import Stand, StepDocuments, StepRows, json_text, step_rows
from connectors.sql import QUERIES
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.errors import WundrError
from schemas.event import Event
from streams.errors import InfrastructureError
from streams.expectation import ANY_VERSION
from streams.reading import view_resolved
from streams.sagas.course import Address, Course, DueDeadline, SagaName, SagaStatus, Step
from streams.sagas.store import DeadlineJudge, Fired, Judge
from streams.writer_schemas import WriterSchemas

Result = TypeVar("Result")

TRIES: Final = 5
"""How often a transaction is begun in which an append lost against another one."""

LONGEST_DELAY_S: Final = 300.0
"""How long a deadline is put off at most that the saga cannot decide on."""

_log = structlog.get_logger(__name__)


class _Judged(Exception):  # carries an error
    """What a saga has raised, which is no error of the database whatever it is."""

    def __init__(self, error: Exception) -> None:
        self.error = error


class _Found(NamedTuple):
    """A course and the number of its last step."""

    course: int
    status: str
    steps: int


class _Due(NamedTuple):
    """A deadline that is due, with its course."""

    course: int
    key: str
    status: str
    steps: int
    name: str
    set_by: str
    due_at: datetime
    failures: int


@dataclass(slots=True, kw_only=True)
class _Round:
    """Which deadlines are to be fired, and which were claimed by the last try."""

    name: SagaName
    judge: DeadlineJudge
    limit: int
    until: datetime | None
    due: Sequence[_Due] = ()


@dataclass(slots=True)
class _Batch:
    """What became of the deadlines of one transaction."""

    rows: list[StepRows] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    over: list[Mapping[str, Any]] = field(default_factory=list)
    failed: list[Mapping[str, Any]] = field(default_factory=list)


class PostgresSagaStore:
    """Implements SagaStore. Every method raises also DatabaseUnavailable or DatabaseRefused."""

    def __init__(
        self, database: Database, catalog: Catalog, codec: Codec, schemas: WriterSchemas
    ) -> None:
        """`schemas`: where writer schemas of events are looked up that this release lacks."""
        self._database = database
        self._catalog = catalog
        self._codec = codec
        self._schemas = schemas

    async def take(self, address: Address, judge: Judge) -> Step | None:
        """See SagaStore."""

        async def begin_and_take(connection: Connection) -> Step | None:
            await connection.execute(QUERIES["begin_course"], address._asdict())
            return await self._take(connection, address, judge)

        return await self._in_transaction(begin_and_take)

    async def carry_on(self, address: Address, judge: Judge) -> Step | None:
        """See SagaStore."""
        return await self._in_transaction(lambda opened: self._take(opened, address, judge))

    async def fire(
        self, name: SagaName, judge: DeadlineJudge, limit: int, until: datetime | None = None
    ) -> Fired:
        """See SagaStore. A deadline that fails is put off for up to five minutes, without end."""
        tried = _Round(name=name, judge=judge, limit=limit, until=until)
        try:
            return await self._in_transaction(lambda opened: self._fire(opened, tried))
        except InfrastructureError:
            raise
        except WundrError as error:
            # One by one, so that the deadline that cannot be stored holds up no other.
            if limit > 1:
                return await self.fire(name, judge, 1, until)
            if not tried.due:
                raise
            failed = [_put_off(name, due, error) for due in tried.due]
        # That one and no other: what is due first may be another one by now.
        await self._in_transaction(lambda opened: _change(opened, "put_off_deadlines", failed))
        return Fired(failed=len(failed), handled=len(failed))

    async def due_in_s(self, name: SagaName) -> float | None:
        """See SagaStore."""
        async with self._database.connection() as connection:
            found = await connection.execute(QUERIES["next_due_deadline"], name._asdict())
            row = await found.fetchone()
        return None if row is None else float(row[0])

    async def find(self, address: Address) -> Course | None:
        """See SagaStore."""
        async with self._database.transaction() as connection:
            found = await _course(connection, "find_course", address)
            if found is None:
                return None
            framed = await _framed(connection, [found.course])
            return await self._as_course(address, found, framed[found.course])

    async def _in_transaction(self, work: Callable[[Connection], Awaitable[Result]]) -> Result:
        """Do the work in one transaction; again when an append in it lost against another one."""
        for left in reversed(range(TRIES)):
            try:
                async with self._database.transaction() as connection:
                    return await work(connection)
            except _Judged as judged:
                raise judged.error from None
            except DatabaseRefused as error:
                if not left or not isinstance(error.__cause__, InFailedSqlTransaction):
                    raise
        raise AssertionError("the last try returns or raises")

    async def _take(self, connection: Connection, address: Address, judge: Judge) -> Step | None:
        found = await _course(connection, "lock_course", address)
        if found is None:
            return None
        # Read by a statement of its own: it sees what was committed before the lock was given.
        framed = await _framed(connection, [found.course])
        course = await self._as_course(address, found, framed[found.course])
        try:
            step = judge(course)
        except Exception as error:
            raise _Judged(error) from error
        if step is not None and not step.is_repeat:
            stand = Stand(course=found.course, number=found.steps + 1)
            rows = step_rows(self._catalog, self._codec, stand, step)
            await self._store(connection, address.name, [rows])
        return step

    async def _fire(self, connection: Connection, tried: _Round) -> Fired:
        claimed = await _claimed(connection, tried)
        # One step of a course at a time: a further one would be decided on an older state.
        tried.due = list({it.course: it for it in reversed(claimed)}.values())[::-1]
        if not tried.due:
            return Fired()
        framed = await _framed(connection, [it.course for it in tried.due])
        batch = _Batch()
        for due in tried.due:
            await self._judge(tried, due, framed[due.course], batch)
        if batch.rows:
            await self._store(connection, tried.name, batch.rows)
        await _change(connection, "put_off_deadlines", batch.failed)
        await _change(connection, "drop_deadlines", batch.over)
        return Fired(steps=tuple(batch.steps), failed=len(batch.failed), handled=len(tried.due))

    async def _judge(
        self, tried: _Round, due: _Due, framed: Sequence[bytes], batch: _Batch
    ) -> None:
        """Decide on one deadline; one that cannot be decided on holds up no other."""
        name = tried.name
        try:
            course = await self._as_course(Address(*name, due.key), due, framed)
            step = tried.judge(course, DueDeadline(due.name, due.set_by, due.due_at))
            if step is None or step.is_repeat:
                batch.over.append({"course": due.course, "name": due.name})
                return
            stand = Stand(course=due.course, number=due.steps + 1, fired=due.name)
            batch.rows.append(step_rows(self._catalog, self._codec, stand, step))
            batch.steps.append(step)
        except InfrastructureError:
            raise  # the keys of personal data are away: nothing is wrong with the deadline
        except Exception as error:  # noqa: BLE001  # a saga belongs to a team's app
            batch.failed.append(_put_off(name, due, error))

    async def _store(
        self, connection: Connection, name: SagaName, rows: Sequence[StepRows]
    ) -> None:
        """Write steps, with everything that they bring about, within the open transaction."""
        for row in rows:
            await self._append(connection, row.appended)
        await self._keep_schemas(connection, {it for row in rows for it in row.schema_ids})
        values = {**StepDocuments.of(rows).values(), **name._asdict()}
        await connection.execute(QUERIES["store_saga_steps"], values)

    async def _append(self, connection: Connection, events: Sequence[Event[Any]]) -> None:
        if not events:
            return
        same = SameTransaction(connection, self._database.acquire_timeout_s)
        appender = PostgresEventAppender(same, self._catalog, self._codec)
        for event in events:
            await connection.execute(QUERIES["queue_for_aggregate"], {"key": event.key})
            # A course that was built anew emits the same events: they are appended once.
            await appender.append([event], ANY_VERSION, command_id=event.id)

    async def _keep_schemas(self, connection: Connection, schema_ids: set[int]) -> None:
        """The relay announces the schemas of what it sends, and finds them here."""
        found = await connection.execute(
            QUERIES["unknown_writer_schemas"], {"ids": list(schema_ids)}
        )
        for (schema_id,) in await found.fetchall():
            schema = self._catalog.schema_ids()[schema_id]
            await connection.execute(
                QUERIES["keep_writer_schema"],
                {"id": schema_id, "composed": schema.composed_json},
            )

    async def _as_course(
        self, address: Address, found: _Found | _Due, framed: Sequence[bytes]
    ) -> Course:
        """Raises SchemaError for a step that cannot be read."""
        taken_in = [await view_resolved(self._codec, self._schemas, value) for value in framed]
        return Course(address=address, status=SagaStatus(found.status), taken_in=tuple(taken_in))


async def _course(connection: Connection, query: str, address: Address) -> _Found | None:
    found = await connection.execute(QUERIES[query], address._asdict())
    row = await found.fetchone()
    return None if row is None else _Found(*row)


async def _framed(connection: Connection, courses: Sequence[int]) -> Mapping[int, list[bytes]]:
    """What courses have taken in, as it was on the wire."""
    found = await connection.execute(QUERIES["taken_in"], {"courses": list(courses)}, binary=True)
    framed: defaultdict[int, list[bytes]] = defaultdict(list)
    for course, value in await found.fetchall():
        framed[course].append(value)
    return framed


async def _change(
    connection: Connection, query: str, deadlines: Sequence[Mapping[str, Any]]
) -> None:
    if deadlines:
        await connection.execute(QUERIES[query], {"deadlines": json_text(deadlines)})


async def _claimed(connection: Connection, tried: _Round) -> list[_Due]:
    values = {**tried.name._asdict(), "limit": tried.limit, "until": tried.until}
    found = await connection.execute(QUERIES["claim_due_deadlines"], values)
    return [_Due(*row) for row in await found.fetchall()]


def _put_off(name: SagaName, due: _Due, error: Exception) -> Mapping[str, Any]:
    """Twice as long as the time before."""
    delay_s = min(LONGEST_DELAY_S, 2.0 ** min(due.failures, 10))
    _log.error(
        "a deadline of a saga fails",
        course=str(Address(*name, due.key)),
        deadline=due.name,
        failures=due.failures + 1,
        seconds=delay_s,
        exc_info=error,
    )
    reason = f"{type(error).__name__}: {error}".replace("\x00", "\N{REPLACEMENT CHARACTER}")
    return {
        "course": due.course,
        "name": due.name,
        "set_by": due.set_by,
        # Half of a surrogate pair is no text that a column holds.
        "error": reason.encode(errors="replace").decode(),
        "delay_s": delay_s,
    }
