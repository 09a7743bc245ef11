"""Where a subscription puts what it could not handle."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from streams.attempts import Failed
from streams.dead_letter import Failure, dead_letter
from streams.log import RecordSender
from streams.receipt import Receipt
from streams.records import OutgoingRecord, RawRecord
from streams.work_metrics import WorkMetrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Burial:
    """The dead letters of one subscription."""

    app: str
    group: str
    sender: RecordSender
    clock: Callable[[], datetime]
    metrics: WorkMetrics = field(default_factory=WorkMetrics)

    def letter(self, record: RawRecord, failed: Failed, handler: str) -> OutgoingRecord:
        """The dead letter of a record, not sent yet."""
        self.metrics.given_up(handler)
        failure = Failure(
            app=self.app, group=self.group, handler=handler, error=failed.error, tries=failed.tries
        )
        return dead_letter(record, failure, self.clock())

    async def bury(self, record: RawRecord, failed: Failed, handler: str) -> Receipt:
        """Send the dead letter; the record counts as done once the receipt is kept."""
        return await self.sender.send(self.letter(record, failed, handler))
