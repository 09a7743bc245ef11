"""The numbers of a worker: what its subscriptions have counted, and how far behind they are."""

import asyncio
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Final

from schemas.errors import WundrError
from schemas.topics import priority_of
from streams.backlog import lag_by_topic
from streams.metric_names import (
    ASSIGNED,
    LAG_RECORDS,
    LAG_SECONDS,
    PAUSED,
    RECORDS,
    TABLE_ENTRIES,
    TABLE_RECOVERED,
    TABLE_RECOVERY,
    UNFINISHED,
)
from streams.metrics import Sample
from streams.records import TopicPartition
from streams.runtime.health import Run
from streams.work_samples import work_samples

ASK_S: Final = 1.0
"""How long a scrape waits for the broker before it shows what the last fetches have told."""


class WorkerMetrics:
    """The subscriptions that a worker runs, as a MetricSource."""

    def __init__(self, runs: Sequence[Run], known_types: Collection[str]) -> None:
        """`known_types`: those that may become a label."""
        self._runs = runs
        self._known_types = frozenset(known_types)
        self._asked: dict[str, Mapping[TopicPartition, int]] = {}

    async def ask_ends(self) -> None:
        """Ask, once for each subscription, where those partitions end that are not read just now.

        A lane that is full is not fetched for, so what its last fetch has told grows old; others
        are fetched for all the time, and nobody needs to be asked.
        """
        for run in self._runs:
            held_back = [source for source, held in run.lanes.backlogs().items() if held.unfinished]
            self._asked[run.name] = await _ends(run, held_back) if held_back else {}

    def samples(self) -> Iterator[Sample]:
        """See MetricSource."""
        for run in self._runs:
            yield from work_samples(run.metrics, self._known_types)
            yield from self._state(run)
            yield from self._lag(run)
            yield from self._tables(run)

    def _state(self, run: Run) -> Iterator[Sample]:
        name = run.metrics.subscription
        yield RECORDS.sample(run.process.processed, name)
        yield UNFINISHED.sample(run.lanes.unfinished, name)
        yield ASSIGNED.sample(len(run.member.feed.positions()), name)
        yield PAUSED.sample(int(run.process.pause is not None), name)

    def _lag(self, run: Run) -> Iterator[Sample]:
        name, feed = run.metrics.subscription, run.member.feed
        ends = dict(feed.known_ends())
        # A partition that is no longer fetched is known only to those who ask.
        for told in (run.ends, self._asked.get(run.name, {})):
            for source, end in told.items():
                ends[source] = max(end, ends.get(source, 0))
        lags = lag_by_topic(ends, feed.positions(), run.lanes.backlogs(), time.time() * 1_000)
        for topic, lag in lags.items():
            priority = priority_of(topic).label
            yield LAG_RECORDS.sample(lag.records, name, topic, priority)
            if lag.seconds is not None:
                yield LAG_SECONDS.sample(lag.seconds, name, topic, priority)

    def _tables(self, run: Run) -> Iterator[Sample]:
        name = run.metrics.subscription
        for table in run.member.tables:
            yield TABLE_ENTRIES.sample(run.member.tables[table].size(), name, table)
            steps = [it for it in run.member.recovery if it.table == table]
            yield TABLE_RECOVERED.sample(sum(it.done for it in steps), name, table)
            yield TABLE_RECOVERY.sample(sum(it.total for it in steps), name, table)


async def _ends(run: Run, sources: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
    with suppress(WundrError, TimeoutError):  # a scrape answers without a broker, too
        async with asyncio.timeout(ASK_S):
            return await run.member.feed.ends(sources)
    return {}
