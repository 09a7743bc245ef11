"""Where `wundr dlq` reads letters and gives orders: the topics of a real broker."""

from __future__ import annotations

import asyncio
import getpass
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from infra.errors import UnknownLetterApp
from infra.keys import open_keys
from infra.letter_view import Decoded
from infra.settings import load_settings
from infra.stack.local import require_endpoints
from infra.topics import partition_counts
from infra.work_progress import Report, work_progress
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.errors import SchemaError
from schemas.event import EventFactory
from schemas.events.system import SystemLetterEdited
from schemas.key_ring import KeyRing
from schemas.topics import CONTROL_TOPIC
from streams.kafka.reader import KafkaReader
from streams.kafka.schema_topic import KafkaWriterSchemas
from streams.kafka.sender import KafkaSender
from streams.parking.editing import Edit, LetterEditor
from streams.parking.letter import Letter
from streams.parking.letters import Letters, LettersReading, letter_apps, letter_topics
from streams.parking.ordering import Ordered, Ordering, Pacing
from streams.publisher import EventPublisher
from streams.reading import view_resolved
from streams.records import OutgoingRecord
from streams.settings import KafkaSettings

SOURCE: Final = "wundr-dlq"
UNIT: Final = "letters"


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterPlan:
    """Where letters are, and what reads their events."""

    kafka: KafkaSettings
    catalog: Catalog
    keys: KeyRing | None


def letter_plan() -> LetterPlan:
    """Of this installation. Raises StackNotRunning, SettingsInvalid."""
    settings = load_settings()
    endpoints = require_endpoints(settings)
    return LetterPlan(
        kafka=KafkaSettings(bootstrap=endpoints.kafka_bootstrap, client_id=SOURCE),
        catalog=Catalog.load(),
        keys=open_keys(settings, endpoints),
    )


@asynccontextmanager
async def open_letters(
    kafka: KafkaSettings, app: str | None = None, whole: Collection[str] = ()
) -> AsyncIterator[LettersReading]:
    """The letters of an app or of all, as they are now, and the orders about them.

    Raises BrokerUnreachable, BrokerUnavailable, UnknownLetterApp.
    """
    existing = await asyncio.to_thread(partition_counts, kafka.bootstrap)
    topics = letter_topics(existing, app)
    if app is not None and not topics:
        raise UnknownLetterApp(app, letter_apps(existing))
    topics += [CONTROL_TOPIC] if CONTROL_TOPIC in existing else []
    reading = LettersReading(KafkaReader(kafka, topics), Letters(whole))
    try:
        await reading.start()
        with work_progress("records") as report:
            await reading.catch_up(lambda done, total: report("reading letters", done, total))
        yield reading
    finally:
        await reading.close()


def say_faults(letters: Letters) -> None:
    """Name on stderr what the topics hold that is no letter."""
    for fault in letters.faults():
        sys.stderr.write(f"left alone: {fault}\n")
    if letters.unnamed_faults:
        sys.stderr.write(f"left alone: {letters.unnamed_faults:,} more\n")


class LetterDesk:
    """Decodes letters, gives orders, follows them. Use it as a context manager."""

    def __init__(self, plan: LetterPlan) -> None:
        self._plan = plan
        self._codec = Codec(plan.catalog, keys=plan.keys, upcasts=True)
        self._sender = KafkaSender(plan.kafka)
        self._schemas = KafkaWriterSchemas(plan.kafka, self._sender, self._codec)

    async def __aenter__(self) -> LetterDesk:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self._schemas.close()
        await self._sender.close()

    async def decode(self, letter: Letter) -> Decoded:
        """The event of a whole letter, upcast, its data read. Raises BrokerUnavailable."""
        try:
            event = await view_resolved(self._codec, self._schemas, letter.record.value or b"")
            _ = event.payload
        except SchemaError as error:
            if error.retryable:
                raise
            return Decoded(event=None, error=error)
        return Decoded(event=event)

    async def edit(self, letter: Letter, data: Mapping[str, Any]) -> Edit:
        """See LetterEditor."""
        return await LetterEditor(self._plan.catalog, self._codec, self._schemas).edit(letter, data)

    async def write_down(self, edit: Edit, reason: str | None) -> None:
        """Publish who edits what, acknowledged, and announce the schema of the new bytes.

        Raises BrokerUnavailable or DeliveryFailed.
        """
        event = EventFactory(self._plan.catalog, SOURCE).create(
            SystemLetterEdited(
                event_id=edit.event.id,
                failed_type=edit.event.type,
                letter_id=edit.letter.id,
                app=edit.letter.app,
                editor=_editor(),
                reason=reason,
                before=edit.before,
                after=edit.after,
            ),
            correlation_id=edit.event.correlation_id,
            causation_id=edit.event.id,
        )
        publisher = EventPublisher(self._plan.catalog, self._codec, self._sender, self._schemas)
        await self._schemas.announce(edit.schema)
        await (await publisher.publish(event))

    async def send(self, records: Sequence[OutgoingRecord], rate: float | None) -> None:
        """Give orders, acknowledged, so many in a second at most. Raises as `Ordering.send`."""
        ordering = Ordering(self._sender, time.monotonic)
        with work_progress(UNIT) as report:
            await ordering.send(
                records,
                Pacing(rate, time.monotonic),
                lambda done: report("ordering", done, len(records)),
            )

    async def follow(
        self, letters: Sequence[Letter], reading: LettersReading, patience_s: float
    ) -> list[Ordered]:
        """What became of the letters. Raises BrokerUnavailable."""
        ordering = Ordering(self._sender, time.monotonic)
        with work_progress(UNIT) as report:
            return await ordering.follow(
                reading, letters, patience_s, _counting(report, len(letters))
            )


def _counting(report: Report, total: int) -> Callable[[int], None]:
    return lambda done: report("waiting for workers", done, total)


def _editor() -> str:
    """The account that runs this process; its number where it has no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
