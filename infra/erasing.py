"""Forgets a subject: its key first, then every state that was folded from readable events."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from connectors.erasure import (
    ErasureReport,
    Means,
    Place,
    changelog_places,
    protected_types,
    sealed_places,
    unprotected_types,
)
from connectors.postgres.database import Database
from connectors.postgres.erasure import PostgresErasure
from connectors.postgres.migrations import migrate
from connectors.projection_rebuild import Rebuild
from connectors.projection_service import projection_edges
from connectors.projection_store import KnownProjection
from connectors.store_plan import StorePlan
from connectors.version_fold import ProjectionEdges
from infra.errors import KeysNotConfigured
from infra.stored_projections import find_projection
from infra.topics import partition_counts
from schemas.catalog import Catalog
from schemas.protection import checked_subject

_HANDED_OVER_WITHIN_S: Final = 30.0
"""By then a projector has left the version that was live: its lease is over."""

_LOOK_AGAIN_S: Final = 0.5


async def forget_subject(plan: StorePlan, subject: str, settle: timedelta) -> ErasureReport:
    """Delete the key; `settle` later, when no process has it any more, clean what was folded.

    May be done again, and goes on where it stopped. Raises KeysNotConfigured, InvalidEventData for
    what no subject can be called, BrokerUnreachable, DatabaseUnavailable, AppNotFound, and what a
    rebuild raises.
    """
    if plan.keys is None:
        raise KeysNotConfigured
    checked_subject(subject, "SUBJECT")
    await migrate(plan.postgres)
    topics = await asyncio.to_thread(partition_counts, plan.kafka.bootstrap)
    forgotten_at = plan.keys.forget(subject)
    settled_at = forgotten_at + settle
    # A state that is folded before that could still be folded from what can be read.
    await asyncio.sleep(max(0.0, (settled_at - datetime.now(UTC)).total_seconds()))
    places = sealed_places(plan.catalog, topics, forgotten_at, settled_at)
    # Whole tables are cleaned: a bound for one statement would stop that half way.
    unbounded = replace(plan.postgres, statement_timeout_s=0)
    async with Database(unbounded) as database, projection_edges(plan) as edges:
        erasure = PostgresErasure(database)
        places.append(await _clean_snapshots(plan.catalog, erasure))
        places += await _clean_projections(plan.catalog, erasure, edges)
    places += changelog_places(topics)
    return ErasureReport(
        forgotten_at=forgotten_at, places=places, unprotected=unprotected_types(plan.catalog)
    )


async def _clean_snapshots(catalog: Catalog, erasure: PostgresErasure) -> Place:
    types = {known.aggregate_type for known in protected_types(catalog)} - {None}
    dropped = await erasure.drop_snapshots([str(name) for name in types])
    detail = f"{dropped:,} removed, of aggregates with personal data"
    return _place("PostgreSQL snapshots", Means.DELETED, detail)


async def _clean_projections(
    catalog: Catalog, erasure: PostgresErasure, edges: ProjectionEdges
) -> Sequence[Place]:
    """Build each projection anew that folds events with personal data."""
    personal = [known.name for known in protected_types(catalog)]
    places = []
    for known in await edges.store.find():
        found = await find_projection(edges, known.name, known.module)
        name = f"PostgreSQL projection {known.app}/{known.name}"
        if any(found.projection.wants(event_type) for event_type in personal):
            await Rebuild(known, found.projection, edges, uuid.uuid4().hex).run()
            is_clean = await _is_alone(known, erasure, edges)
            places.append(_rebuilt(name) if is_clean else _left(name))
        else:
            detail = "folds no event with personal data"
            places.append(_place(name, Means.NOTHING, detail))
    return places


async def _is_alone(
    known: KnownProjection, erasure: PostgresErasure, edges: ProjectionEdges
) -> bool:
    """Whether the rebuilt version is the only one left, once nobody works on another."""
    deadline = asyncio.get_running_loop().time() + _HANDED_OVER_WITHIN_S
    while True:
        await erasure.drop_older_versions(known)
        if len(await edges.store.versions(known.app, known.name)) == 1:
            return True
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(_LOOK_AGAIN_S)


def _rebuilt(name: str) -> Place:
    return _place(name, Means.REBUILT, "built anew; the versions before are removed")


def _left(name: str) -> Place:
    detail = "built anew, but a process works on an older version: end it and forget again"
    return Place(name=name, means=Means.TO_REBUILD, clean_at=None, detail=detail)


def _place(name: str, means: Means, detail: str) -> Place:
    return Place(name=name, means=means, clean_at=datetime.now(UTC), detail=detail)
