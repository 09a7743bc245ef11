"""Our audit of Kafka against PostgreSQL."""

from __future__ import annotations

import asyncio
import time

from benchmarks.contract import Measurement, RunConfig, peak_memory
from benchmarks.progress import resident_memory
from connectors.audit_service import AuditPlan, store_audit
from connectors.settings import PostgresSettings
from infra.topics import partition_counts, topic_ids
from schemas.catalog import Catalog
from schemas.topics import STORE_EVENTS
from streams.runtime.collecting import collect_garbage_less_often
from streams.settings import KafkaSettings

MEGABYTE = 1_000_000


async def audit(config: RunConfig) -> Measurement:
    """One audit; raises RuntimeError when it finds anything."""
    plan = AuditPlan(
        kafka=KafkaSettings(bootstrap=config.bootstrap),
        postgres=PostgresSettings(dsn=config.options["dsn"], statement_timeout_s=0),
        topic_id=topic_ids(config.bootstrap, [STORE_EVENTS])[STORE_EVENTS],
        catalog=Catalog.load(),
        partitions=partition_counts(config.bootstrap),
    )
    collect_garbage_less_often()
    before = resident_memory()
    began, cpu = time.perf_counter(), time.process_time()
    async with store_audit(plan) as running:
        report = await running.run()
    seconds = time.perf_counter() - began
    if not report.agrees:
        raise RuntimeError(f"{report.findings.named}")
    return Measurement(
        events=report.findings.events,
        seconds=seconds,
        cpu_seconds=time.process_time() - cpu,
        checksum=0,
        rss_bytes=peak_memory(),
        metrics={"audit_s": seconds, "growth_mb": (peak_memory() - before) / MEGABYTE},
    )


if __name__ == "__main__":
    asyncio.run(audit(RunConfig.from_arguments())).print()
