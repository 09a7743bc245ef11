"""Our rebuild: history into a new version, compared with the live one, switched to."""

from __future__ import annotations

import asyncio
import uuid

import uvloop

from benchmarks.contract import Meter, RunConfig
from benchmarks.folding import NAME, Stopwatch, counting
from connectors.projection_rebuild import Rebuild
from connectors.projection_service import projection_edges
from connectors.settings import PostgresSettings
from connectors.store_plan import StorePlan
from schemas.catalog import Catalog
from streams.runtime.collecting import collect_garbage_less_often
from streams.settings import KafkaSettings


async def rebuild(config: RunConfig, meter: Meter) -> None:
    """Rebuild once and print what it took; the first run of a database has nothing to compare."""
    plan = StorePlan(
        kafka=KafkaSettings(bootstrap=config.bootstrap),
        postgres=PostgresSettings(dsn=config.options["dsn"]),
        catalog=Catalog.load(),
    )
    projection = counting(meter)
    async with projection_edges(plan) as edges:
        known = await edges.store.register("bench", "benchmarks.folding", projection)
        watch = Stopwatch()
        report = await Rebuild(known, projection, edges, uuid.uuid4().hex).run()
        measured = watch.measurement(meter)
    if report.parity is not None and report.parity.differences:
        raise AssertionError(f"{NAME}: {report.parity.differences} rows differ from the live ones")
    measured.print()


def main() -> None:
    """Measure and print."""
    config = RunConfig.from_arguments()
    collect_garbage_less_often()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(rebuild(config, Meter(config.events, 0)))


if __name__ == "__main__":
    main()
