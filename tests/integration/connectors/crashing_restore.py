"""A restore process that kills itself after so many offsets, as a power cut would.

Arguments: a JSON object with bootstrap, name, dsn and `kill_at`.
"""

import asyncio
import json
import os
import signal
import sys

from connectors.restore_service import store_restore
from tests.integration.connectors.audited_store import AuditedStore
from tests.integration.connectors.conftest import Archive


async def main() -> None:
    asked = json.loads(sys.argv[1])
    archive = Archive(bootstrap=asked["bootstrap"], name=asked["name"])

    def crash_at(done: int, _total: int) -> None:
        if done >= asked["kill_at"]:
            os.kill(os.getpid(), signal.SIGKILL)

    plan = AuditedStore(archive=archive, dsn=asked["dsn"]).restore_plan()
    async with store_restore(plan, crash_at) as restore:
        await restore.run()


asyncio.run(main())
