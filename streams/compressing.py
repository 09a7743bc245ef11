"""Compression as a stage of publishing: batches come out with their runs merged."""

from collections.abc import Sequence
from typing import Any

import structlog

from schemas.event import Event
from streams.batcher import Outlet
from streams.compressor import EventCompressor, Run, standing_for
from streams.errors import BatchInterrupted, MergeFailed
from streams.receipt import Receipt

log = structlog.get_logger(__name__)


class Compressing:
    """Implements Outlet in front of another one.

    The receipt of an event that was merged is that of the event it became part of. Events that
    cannot be merged are sent as they are: a defect in a merge function loses nothing.
    """

    def __init__(self, outlet: Outlet, compressor: EventCompressor) -> None:
        self._outlet = outlet
        self._compressor = compressor

    async def publish_batch(self, events: Sequence[Event[Any]]) -> list[Receipt]:
        """See EventBus.publish_batch; an interruption is told of the given events."""
        merged: list[Event[Any]] = []
        runs: list[Run] = []
        for run in self._compressor.runs(events):
            for part, event in self._merged(run):
                runs.append(part)
                merged.append(event)
        place = standing_for(runs)
        try:
            receipts = await self._outlet.publish_batch(merged)
        except BatchInterrupted as interrupted:
            sent = interrupted.receipts
            raise BatchInterrupted(
                [
                    sent[place[event.id]].standing_for(event.id)
                    for event in events
                    if place[event.id] < len(sent)
                ],
                [event.id for event in events if place[event.id] >= len(sent)],
            ) from interrupted.__cause__
        return [receipts[place[event.id]].standing_for(event.id) for event in events]

    def _merged(self, run: Run) -> list[tuple[Run, Event[Any]]]:
        try:
            return [(run, self._compressor.merged(run))]
        except MergeFailed as error:
            log.exception("events not merged", code=error.code)
            return [((event,), event) for event in run]
