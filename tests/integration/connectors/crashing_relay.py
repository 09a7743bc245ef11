"""A relay process that kills itself after a named step, as a power cut would.

Arguments: a JSON object with bootstrap, dsn, silent_s, and `step` (or null: run on).
"""

import asyncio
import json
import os
import signal
import sys

from connectors.outbox_relay import RelaySettings
from connectors.relay_service import RelayPlan, outbox_relay
from connectors.relay_status import RelayStep
from connectors.settings import PostgresSettings
from infra.signals import run_until_signalled
from schemas.catalog import Catalog
from streams.settings import KafkaSettings

BATCH = 7


async def main(stop: asyncio.Event) -> None:
    asked = json.loads(sys.argv[1])
    plan = RelayPlan(
        kafka=KafkaSettings(bootstrap=asked["bootstrap"]),
        postgres=PostgresSettings(dsn=asked["dsn"], pool_size=2),
        catalog=Catalog.load(),
        relay=RelaySettings(batch_rows=BATCH, renew_s=0.2, claim_s=0.2, longest_delay_s=0.5),
        silent_s=asked["silent_s"],
    )

    def crash_at(step: RelayStep) -> None:
        if asked["step"] == step:
            os.kill(os.getpid(), signal.SIGKILL)

    async with outbox_relay(plan, crash_at) as relay:
        await relay.run(stop)


if __name__ == "__main__":
    run_until_signalled(main)
