"""Our worker, one process or several of one group, on so many aggregates, for a fixed time."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.contract import Measurement, RunConfig
from benchmarks.open_loop import NANOSECONDS
from benchmarks.progress import Moment, between, seconds_of

STEADY_PARTS = 6
STEADY_PART_S = 0.25
"""The time is taken once every worker went on in each of so many parts: no rebalance is left."""
FULL = 0.9
"""Share of the events after which some partition may be empty."""
LOOK_S = 0.05
LEAST = 0.4
"""Share of the time that must have been measured."""


@dataclass(slots=True)
class Worker:
    """One process, and how far it said it was."""

    process: asyncio.subprocess.Process
    moments: list[Moment] = field(default_factory=list)

    async def listen(self) -> None:
        """Note all that it says until it ends."""
        if self.process.stdout is None:
            raise RuntimeError("a worker was started without its output")
        async for line in self.process.stdout:
            if line.startswith(b"["):
                self.moments.append(Moment(*json.loads(line)))

    @property
    def handled(self) -> int:
        """Events so far."""
        return self.moments[-1].handled if self.moments else 0

    def end(self) -> None:
        """Ask it to drain."""
        if self.process.stdin is not None:
            self.process.stdin.close()


def is_steady(moments: list[Moment]) -> bool:
    """Whether events were handled in each of the last parts."""
    if not moments:
        return False
    now_ns, part_ns = moments[-1].now_ns, round(STEADY_PART_S * NANOSECONDS)
    for number in range(STEADY_PARTS):
        last_ns = now_ns - number * part_ns
        part = [it.handled for it in moments if last_ns - part_ns <= it.now_ns <= last_ns]
        if len(part) < 2 or part[-1] == part[0]:
            return False
    return True


async def start(config: RunConfig, number: int) -> Worker:
    """One more worker of the group, with a folder of its own."""
    folder = Path(config.folder) / f"worker-{number}"
    folder.mkdir()
    pipe = asyncio.subprocess.PIPE
    module = ("-m", "benchmarks.systems.scale_worker")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *module,
        replace(config, folder=str(folder)).to_json(),
        stdin=pipe,
        stdout=pipe,
    )
    return Worker(process)


async def measure(config: RunConfig) -> Measurement:
    """Run the workers until the time is over or the topic is nearly read."""
    workers = [await start(config, number) for number in range(config.options["processes"])]
    listening = [asyncio.create_task(worker.listen()) for worker in workers]
    while not all(is_steady(worker.moments) for worker in workers):
        await asyncio.sleep(LOOK_S)
        if any(task.done() for task in listening):
            raise RuntimeError("a worker has ended by itself")
    begin_ns = min(worker.moments[-1].now_ns for worker in workers)
    end_ns = begin_ns + round(config.seconds * NANOSECONDS)
    most = round(config.events * FULL)

    def is_over() -> bool:
        said_last_ns = min(worker.moments[-1].now_ns for worker in workers)
        return said_last_ns > end_ns or sum(worker.handled for worker in workers) >= most

    while not is_over():  # noqa: ASYNC110  # the workers are other processes
        await asyncio.sleep(LOOK_S)
    end_ns = min(end_ns, *(worker.moments[-1].now_ns for worker in workers))
    for worker in workers:
        worker.end()
    await asyncio.gather(*listening, *(worker.process.wait() for worker in workers))
    parts = [between(worker.moments, begin_ns, end_ns) for worker in workers]
    return measurement(parts, config.seconds)


def measurement(parts: list[list[Moment]], wanted_s: float) -> Measurement:
    """All workers together. Raises ValueError where the topic was too short."""
    seconds = max(seconds_of(part) for part in parts)
    if seconds < LEAST * wanted_s:
        raise ValueError(f"all was read after {seconds:.2f} s: the topic is too short")
    rates = [(part[-1].handled - part[0].handled) / seconds_of(part) for part in parts]
    return Measurement(
        events=round(sum(rates) * seconds),
        seconds=seconds,
        cpu_seconds=sum(part[-1].cpu_s - part[0].cpu_s for part in parts),
        checksum=0,
        rss_bytes=max(it.resident_bytes for part in parts for it in part),
        metrics={f"worker_{number}_per_s": rate for number, rate in enumerate(rates, 1)},
    )


def main() -> None:
    """Measure and print."""
    asyncio.run(measure(RunConfig.from_arguments())).print()


if __name__ == "__main__":
    main()
