"""What one subscription counts: plain numbers of one thread, added to once for many events.

The straight path through a handler costs a fraction of a microsecond, so no event pays for a clock
or a lock. Which events came is told by one number for each type that has takers; how long handlers
take that never wait, by the first event of each few dozen; whoever waits is timed every time.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Final

from schemas.envelope import Priority
from schemas.topics import priority_of
from streams.errors import BreakerOpen
from streams.event_in_work import bound_to
from streams.histogram import RECORDS, SECONDS, Histogram
from streams.parking.letter import READ
from streams.parking.lot import Backlog
from streams.records import RawRecord

OTHER: Final = "other"
"""Stands for types that nobody has heard of: their number has no bound."""

TALLIES: Final = 4_096
"""So many are kept apart; what comes then is counted as of other types."""


class Tally:
    """How many events of one type were delivered to the same takers."""

    __slots__ = ("event_type", "events", "handlers", "is_copied")

    def __init__(
        self, event_type: str, handlers: tuple[str, ...], *, is_copied: bool = False
    ) -> None:
        """`is_copied`: they are copies of events that were counted where they stand."""
        self.event_type = event_type
        self.handlers = handlers
        self.is_copied = is_copied
        self.events = 0


class WorkMetrics:
    """The numbers of one subscription since the process began."""

    def __init__(self, subscription: str = "") -> None:
        self.subscription = subscription
        self.failures: defaultdict[str, int] = defaultdict(int)
        self.retries: defaultdict[str, int] = defaultdict(int)
        self.dead_letters: defaultdict[str, int] = defaultdict(int)
        self.processing: defaultdict[str, Histogram] = defaultdict(lambda: Histogram(SECONDS))
        self.waiting: dict[Priority, Histogram] = {}
        self.changelog_records: defaultdict[str, int] = defaultdict(int)
        self.table_batches = Histogram(RECORDS)
        self.parked: Callable[[], Backlog] | None = None
        """Asked when somebody wants to know; set by whoever parks."""
        self.dead: Callable[[], int] | None = None
        """How many are parked, or stand behind one that is; set by whoever parks."""
        self._tallies: dict[tuple[str, tuple[str, ...], bool], Tally] = {}

    def tally(self, event_type: str, handlers: Sequence[str], *, is_copied: bool = False) -> Tally:
        """A number for events of one type and topic; whoever delivers them adds to it."""
        name = event_type if len(self._tallies) < TALLIES else OTHER
        key = (name, tuple(handlers), is_copied)
        known = self._tallies.get(key)
        if known is None:
            known = self._tallies[key] = Tally(name, key[1], is_copied=is_copied)
        return known

    def events_by_type(self) -> Mapping[str, int]:
        """How many events were delivered, by their type."""
        found: defaultdict[str, int] = defaultdict(int)
        for tally in self._tallies.values():
            if not tally.is_copied:
                found[tally.event_type] += tally.events
        return found

    def handled(self) -> Mapping[str, int]:
        """How many events were delivered, by the name of the handler or projection."""
        found: defaultdict[str, int] = defaultdict(int)
        for tally in self._tallies.values():
            for handler in tally.handlers:
                found[handler] += tally.events
        return found

    def begun(self, records: Sequence[RawRecord], now_ms: float) -> None:
        """The work on records of one partition begins.

        Half of them waited as long as the first, half as long as the last: a clock for each would
        cost more than reading it.
        """
        first, last = records[0], records[-1]
        priority = priority_of(first.topic)
        waited = self.waiting.get(priority)
        if waited is None:
            waited = self.waiting[priority] = Histogram(SECONDS)
        younger = len(records) // 2
        waited.observe(max(0.0, now_ms - first.timestamp_ms) / 1_000, len(records) - younger)
        if younger:
            waited.observe(max(0.0, now_ms - last.timestamp_ms) / 1_000, younger)

    def ran(self, handler: str, seconds: float, events: int = 1) -> None:
        """A handler took so long for an event, which stands for so many."""
        self.processing[handler].observe(seconds, events)

    def failed(self, handler: str) -> None:
        """A try has raised."""
        self.failures[handler] += 1

    def raised(self, handler: str, error: BaseException) -> None:
        """A try has raised this; where a breaker let nothing through there was none."""
        if not isinstance(error, BreakerOpen):
            self.failed(handler)

    def retried(self, handler: str) -> None:
        """A try beyond the first begins, or will."""
        self.retries[handler] += 1

    def given_up(self, handler: str) -> None:
        """An event has become a dead letter."""
        self.dead_letters[handler] += 1

    def written(self, events: int, changelogs: Mapping[str, int]) -> None:
        """The tables hold so many events more; `changelogs`: records written, by table."""
        if events:
            self.table_batches.observe(events)
        for table, records in changelogs.items():
            self.changelog_records[table] += records

    @contextmanager
    def trying(self, handler: str, event: object = None, events: int = 1) -> Iterator[None]:
        """Time a try that may wait, count it when it raises, and name the event on log lines.

        A cancellation is no failure: as a rule it is the partition that has gone.
        """
        began = perf_counter()
        with bound_to(self.subscription, handler, event):
            try:
                yield
            except Exception as error:
                self.raised(handler, error)
                raise
            finally:
                self.ran(handler, (perf_counter() - began) / events, events)

    def failure_ratio(self, handler: str, handled: int) -> float:
        """The share of the handler's tries that raised; 0 before there was any."""
        tries = handled + self.retries[handler]
        if handler == READ:
            # Whatever was delivered has been read, and what could not be read was not delivered.
            tries += sum(self.events_by_type().values()) + self.failures[READ]
        return min(1.0, self.failures[handler] / tries) if tries else 0.0
