"""Keeps a version that is built for as long as that takes, however long it writes nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from connectors.first_error import first_error
from connectors.projection_store import ProjectionStore, VersionClaim
from streams.errors import InfrastructureError

RENEW_S: Final = 1.0
"""How often a lease is renewed: several times before it is over."""


@asynccontextmanager
async def leased(
    store: ProjectionStore, claim: VersionClaim, renew_s: float = RENEW_S
) -> AsyncIterator[None]:
    """Renew the lease while the block runs, and give the version back behind it.

    Raises TakenOver, and ends the block, as soon as somebody else has the version or it is gone.
    """
    try:
        with first_error():
            async with asyncio.TaskGroup() as tasks:
                renewing = tasks.create_task(_renew(store, claim, renew_s))
                yield
                renewing.cancel()
    finally:
        # A lease that cannot be given back is over by itself soon.
        with suppress(InfrastructureError):
            await store.release(claim)


async def _renew(store: ProjectionStore, claim: VersionClaim, renew_s: float) -> None:
    while True:
        await asyncio.sleep(renew_s)
        # The work itself says so when Postgres is away.
        with suppress(InfrastructureError):
            await store.renew(claim)
