"""The pages of a gateway node: what it holds, whom it serves, and whether it can."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.feed import BroadcastFeed
from gateway.metrics import (
    CLIENTS,
    HELD,
    HELD_BYTES,
    QUEUED,
    REPEATS,
    ROOMS,
    SLOW,
    UNREADABLE,
)
from gateway.server import Admissions
from streams.event_metrics import EventMetrics
from streams.metrics import Sample
from streams.pages import Pages


@dataclass(frozen=True, slots=True)
class NodeNumbers:
    """What a node holds at the moment, as a MetricSource."""

    feed: BroadcastFeed
    admissions: Admissions

    def samples(self) -> Iterator[Sample]:
        """See MetricSource."""
        sessions = self.admissions.sessions.values()
        queues = [session.connection.queue for session in sessions]
        rooms: set[str] = set().union(*(session.follower.rooms for session in sessions))
        yield CLIENTS.sample(len(sessions))
        yield ROOMS.sample(len(rooms))
        yield QUEUED.sample(sum(queue.qsize() for queue in queues))
        yield SLOW.sample(sum(queue.is_full for queue in queues))
        yield HELD.sample(len(self.feed.log))
        yield HELD_BYTES.sample(self.feed.log.size_bytes)
        yield UNREADABLE.sample(self.feed.unreadable)
        yield REPEATS.sample(self.feed.log.repeats_dropped)

    def facts(self) -> Mapping[str, Any]:
        """For `/live`."""
        sessions = self.admissions.sessions.values()
        return {
            "clients": len(sessions),
            "sent": sum(session.sent for session in sessions),
            "queued": sum(session.connection.queue.qsize() for session in sessions),
            "held": len(self.feed.log),
            "held_bytes": self.feed.log.size_bytes,
            "repeats_dropped": self.feed.log.repeats_dropped,
            "unreadable": self.feed.unreadable,
            "end": {str(source): log.end for source, log in self.feed.log.partitions.items()},
        }


def node_pages(
    feed: BroadcastFeed, admissions: Admissions, not_reading: Callable[[], str | None]
) -> Pages:
    """The pages of a node; `not_reading` says why the broadcasts are not read."""
    numbers = NodeNumbers(feed, admissions)
    pages = Pages(numbers.facts)
    pages.show(
        lambda: {"metrics": EventMetrics(total_events=admissions.numbers.frames).as_mapping()}
    )
    pages.readiness.add("broadcasts", lambda: not_reading() or feed.not_ready())
    pages.metrics.add(numbers)
    pages.metrics.add(admissions.numbers)
    return pages
