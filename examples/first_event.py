"""Publish an event, handle it, project it: in process, without a broker.

Run it: `python -m examples.first_event`.
"""

import asyncio

from schemas.catalog import Catalog
from schemas.event import Event, EventFactory
from schemas.events.domain import AnalysisCompleted, NotificationSent
from streams.app import App
from streams.bus.memory import MemoryBus
from streams.context import Context
from streams.memory.log import MemoryLog
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


async def main() -> None:
    catalog, log = Catalog.load(), MemoryLog()
    completed = EventFactory(catalog, "readme").create(
        AnalysisCompleted(
            analysis_id="a-1",
            project_id="python",
            package="json",
            files=5,
            failed=0,
            functions=38,
            classes=3,
            lines=1_325,
            duration_ms=42,
        ),
        aggregate_id="a-1",
    )
    bus = MemoryBus("readme", log, catalog)
    print(await (await bus.publish(completed)))  # the receipt: the log has the event
    worker = MemoryWorker(app, log, catalog)
    await worker.run_until_idle()
    print(worker.table("inbox"))


if __name__ == "__main__":
    asyncio.run(main())
