"""What a gateway node counts, and the metrics that it gives."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from gateway.broadcast import Broadcast
from streams.histogram import Histogram
from streams.metrics import Metric, Sample, counter, gauge, histogram

CLIENTS: Final = gauge("wundr_gateway_clients", "Clients that are let in.")
ROOMS: Final = gauge("wundr_gateway_rooms", "Rooms that any client has joined.")
FRAMES: Final = counter("wundr_gateway_frames_total", "Events sent to clients.")
SLOW: Final = gauge("wundr_gateway_slow_clients", "Clients whose queue is full.")
STALLED: Final = counter("wundr_gateway_stalled_clients_total", "Clients let go for not reading.")
REFUSALS: Final = counter(
    "wundr_gateway_refusals_total", "Requests and clients refused, by documented code.", "code"
)
EMIT_SECONDS: Final = histogram(
    "wundr_gateway_emit_seconds",
    "Time from a broadcast's timestamp to its way out to a client that had caught up.",
)
QUEUED: Final = gauge("wundr_gateway_queued_packets", "Packets that wait for clients to read.")
HELD: Final = gauge("wundr_gateway_held_broadcasts", "Broadcasts that clients may resume from.")
HELD_BYTES: Final = gauge("wundr_gateway_held_bytes", "Size of what is held.")
UNREADABLE: Final = counter("wundr_gateway_unreadable_total", "Records that are no broadcast.")
REPEATS: Final = counter("wundr_gateway_repeats_dropped_total", "Broadcasts that came twice.")

METRICS: Final[tuple[Metric, ...]] = (
    *(CLIENTS, ROOMS, FRAMES, SLOW, STALLED, REFUSALS, EMIT_SECONDS, QUEUED, HELD, HELD_BYTES),
    *(UNREADABLE, REPEATS),
)
"""All of them."""


class GatewayNumbers:
    """Counts since the start of this node, over all clients that came and went."""

    def __init__(self) -> None:
        self.frames = 0
        self.stalled = 0
        self.refusals: defaultdict[str, int] = defaultdict(int)
        self.emit_s = Histogram()

    def refused(self, code: str) -> None:
        """A client or a request was refused; `code` is one of the documented ones."""
        self.refusals[code] += 1

    def sent(self, broadcasts: Sequence[Broadcast]) -> None:
        """These were put on their way to a client."""
        self.frames += len(broadcasts)

    def emitted(self, broadcasts: Sequence[Broadcast], now_ms: float) -> None:
        """These went out to a client that was not behind.

        Half of them count as old as the first, half as the last.
        """
        younger = len(broadcasts) // 2
        parts = ((broadcasts[0], len(broadcasts) - younger), (broadcasts[-1], younger))
        for broadcast, times in parts:
            if times:
                self.emit_s.observe(max(0.0, now_ms - broadcast.time_ms) / 1_000, times)

    def samples(self) -> Iterator[Sample]:
        """See MetricSource."""
        yield FRAMES.sample(self.frames)
        yield STALLED.sample(self.stalled)
        yield EMIT_SECONDS.sample(self.emit_s)
        for code, refusals in self.refusals.items():
            yield REFUSALS.sample(refusals, code)
