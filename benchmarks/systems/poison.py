"""Our worker while a few aggregates fail: how late the events of all the others are handled."""

from __future__ import annotations

import asyncio
import sys
import time

from benchmarks.contract import Measurement, RunConfig, peak_memory
from benchmarks.latency_run import WARM_UP_S
from benchmarks.open_loop import NANOSECONDS, Arrivals
from benchmarks.repositories import repository_id
from benchmarks.senders import Sender
from benchmarks.systems.controlled import app_name, run_controlled
from schemas.event import Event
from schemas.events.integration import IntegrationRepositorySynced
from streams.app import App
from streams.context import Context

SENDER = (sys.executable, "-m", "benchmarks.systems.latency_sender")


class PoisonRun:
    """Offers one rate; some aggregates fail for ever, and count for nothing."""

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._began = (time.perf_counter(), time.process_time())
        self._metrics: dict[str, float] = {}
        # The sender's first event, which connects it, is of aggregate 0: that one is healthy.
        poisoned = range(1, config.options["poisoned"] + 1)
        self.poisoned = frozenset(repository_id(number) for number in poisoned)
        self.arrivals = Arrivals()

    async def conduct(self) -> None:
        """Returns when everything that does not fail has arrived."""
        options, seconds = self._config.options, self._config.seconds
        count = round(options["rate"] * (WARM_UP_S + seconds))
        whole_rounds, rest = divmod(count, options["aggregates"])
        failing = whole_rounds * len(self.poisoned) + max(0, min(rest - 1, len(self.poisoned)))
        sender = await Sender.ready(
            SENDER,
            {
                "bootstrap": self._config.bootstrap,
                "linger_ms": 0,
                "aggregates": options["aggregates"],
                "rate": options["rate"],
                "count": count,
                "first": 0,
            },
        )
        await self._arrived(1)
        self._began = (time.perf_counter(), time.process_time())
        await sender.send()
        await self._arrived(1 + count - failing)
        begin = self.arrivals.first_due_ns(0) + round(WARM_UP_S * NANOSECONDS)
        latencies = self.arrivals.latencies(begin, begin + round(seconds * NANOSECONDS))
        self._metrics = latencies.metrics("")

    def measurement(self) -> Measurement:
        """Of the events that do not fail."""
        began, cpu_began = self._began
        return Measurement(
            events=self.arrivals.measured,
            seconds=time.perf_counter() - began,
            cpu_seconds=time.process_time() - cpu_began,
            checksum=0,
            rss_bytes=peak_memory(),
            metrics=self._metrics,
        )

    async def _arrived(self, count: int) -> None:
        complete = asyncio.Event()
        self.arrivals.when(count, complete.set)
        await complete.wait()


def main() -> None:
    """Measure and print."""
    config = RunConfig.from_arguments()
    run = PoisonRun(config)
    app = App(app_name(config))

    @app.on(IntegrationRepositorySynced)
    async def on_synced(event: Event[IntegrationRepositorySynced], context: Context) -> None:
        aggregate_id = event.aggregate.id if event.aggregate else ""
        if aggregate_id in run.poisoned:
            raise ValueError("poisoned")
        run.arrivals.take(
            event.type, aggregate_id, event.data.files, int(event.correlation_id or 0)
        )

    run_controlled(app, config, run.conduct)
    run.measurement().print()


if __name__ == "__main__":
    main()
