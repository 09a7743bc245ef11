"""Publish an event, append others, handle and project them: in process, without a broker.

Run it: `python -m examples.first_event`.
"""

import asyncio

from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event, EventFactory
from schemas.events.domain import AnalysisCompleted, AnalysisStarted, NotificationSent
from schemas.events.integration import IntegrationRepositorySynced
from streams.app import App
from streams.bus.memory import MemoryBus
from streams.context import Context
from streams.expectation import NO_EVENTS
from streams.memory.appender import MemoryEventAppender
from streams.memory.log import MemoryLog
from streams.memory.schemas import MemoryWriterSchemas
from streams.memory.worker import MemoryWorker
from streams.projection import State

app = App("notifications")


@app.on("analysis.completed")
async def notify(event: Event[AnalysisCompleted], context: Context) -> None:
    subject = f"{event.data.package}: {event.data.files} files analysed"
    sent = NotificationSent(
        notification_id=event.id, project_id=event.data.project_id, subject=subject
    )
    await context.publish(sent, aggregate_id=event.id)


@app.projection("inbox", on=["notification.sent"], initial=dict, key=lambda e: e.data.project_id)
def inbox(state: State, event: Event[NotificationSent]) -> State:
    return {"messages": [*state.get("messages", ()), event.data.subject]}


SYNCED = IntegrationRepositorySynced(repository="r-1", project_id="python", files=5, bytes=48_000)
STARTED = AnalysisStarted(
    analysis_id="a-1", project_id="python", package="json", files=5, root="/usr/lib/python"
)
COMPLETED = AnalysisCompleted(
    analysis_id="a-1",
    project_id="python",
    package="json",
    files=5,
    failed=0,
    functions=38,
    classes=3,
    lines=1_325,
    duration_ms=42,
)


async def main() -> None:
    catalog, log = Catalog.load(), MemoryLog()
    factory, codec = EventFactory(catalog, "readme"), Codec(catalog)
    bus = MemoryBus("readme", log, catalog)
    appender = MemoryEventAppender(log, catalog, codec, MemoryWriterSchemas(log, codec))

    synced = factory.create(SYNCED, aggregate_id="r-1")
    print(await (await bus.publish(synced)))  # the receipt: the log has the event

    analysis = [factory.create(data, aggregate_id="a-1") for data in (STARTED, COMPLETED)]
    appended = await appender.append(analysis, NO_EVENTS)  # refused if it had any
    print(appended.version)

    worker = MemoryWorker(app, log, catalog)
    await worker.run_until_idle()
    print(worker.table("inbox"))


if __name__ == "__main__":
    asyncio.run(main())
