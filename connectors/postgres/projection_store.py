"""Projections in Postgres: a claim is compared first, then rows and checkpoints change together."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

import orjson

from connectors.postgres.database import Connection, Database
from connectors.projection_errors import LiveMoved, TakenOver, VersionGone
from connectors.projection_store import (
    Difference,
    KnownProjection,
    LiveRow,
    Parity,
    RowBatch,
    UpTo,
    Version,
    VersionClaim,
)
from connectors.sql import QUERIES
from streams.folding import FoldFailure, Row
from streams.projection import Projection

SHOWN_DIFFERENCES: Final = 20

LEASE_S: Final = 10.0
"""How long a version is left alone whose owner has fallen silent."""


class PostgresProjectionStore:
    """Implements ProjectionStore."""

    def __init__(self, database: Database, *, lease_s: float = LEASE_S) -> None:
        self._database = database
        self._lease_s = lease_s

    async def register(self, app: str, module: str, projection: Projection) -> KnownProjection:
        """See ProjectionStore."""
        at: dict[str, Any] = {"app": app, "name": projection.name}
        async with self._database.transaction() as connection:
            await connection.execute(QUERIES["register_projection"], {**at, "module": module})
            found = await (await connection.execute(QUERIES["lock_projection"], at)).fetchone()
            live, previous = found or (None, None)
            if live is None:
                first = await _create(connection, app, projection.name, projection.revision)
                live = first.version
                await connection.execute(
                    QUERIES["switch_version"], {**at, "version": live, "expected": None}
                )
        return KnownProjection(**at, module=module, live=live, previous=previous)

    async def find(
        self, name: str | None = None, app: str | None = None
    ) -> Sequence[KnownProjection]:
        """See ProjectionStore."""
        rows = await self._all("find_projections", {"name": name, "app": app})
        return [
            KnownProjection(app=row[0], name=row[1], module=row[2], live=row[3], previous=row[4])
            for row in rows
        ]

    async def versions(self, app: str, name: str) -> Sequence[Version]:
        """See ProjectionStore."""
        rows = await self._all("find_versions", {"app": app, "name": name})
        return [
            Version(
                version_id=row[0],
                version=row[1],
                revision=row[2],
                is_worked_on=row[3],
                failure=row[4],
            )
            for row in rows
        ]

    async def checkpoints(self, version_id: int) -> Mapping[int, int]:
        """See ProjectionStore."""
        rows = await self._all("version_checkpoints", {"version_id": version_id})
        return {row[1]: row[2] for row in rows}

    async def create(self, app: str, name: str, revision: int) -> Version:
        """See ProjectionStore."""
        at = {"app": app, "name": name}
        async with self._database.transaction() as connection:
            await connection.execute(QUERIES["lock_projection"], at)
            await connection.execute(QUERIES["drop_versions"], at)
            return await _create(connection, app, name, revision)

    async def drop(self, version_id: int) -> None:
        """See ProjectionStore."""
        at = {"version_id": version_id}
        async with self._database.transaction() as connection:
            await connection.execute(QUERIES["lock_projection_of_version"], at)
            await connection.execute(QUERIES["drop_version"], at)

    async def claim(self, version_id: int, owner: str) -> VersionClaim | None:
        """See ProjectionStore."""
        at = {"version_id": version_id}
        async with self._database.transaction() as connection:
            taken = await connection.execute(
                QUERIES["claim_version"], {**at, "owner": owner, "lease_s": self._lease_s}
            )
            epoch = await taken.fetchone()
            if epoch is None:
                return None
            await connection.execute(QUERIES["ensure_checkpoints"], at)
            found = await connection.execute(QUERIES["version_checkpoints"], at)
            rows = await found.fetchall()
        return VersionClaim(
            version_id=version_id,
            epoch=epoch[0],
            topic_id=rows[0][0] if rows else "",
            next={row[1]: row[2] for row in rows},
        )

    async def release(self, claim: VersionClaim) -> None:
        """See ProjectionStore."""
        await self._run("release_version", _owned(claim))

    async def stop(self, claim: VersionClaim, failure: FoldFailure) -> None:
        """See ProjectionStore."""
        told = orjson.dumps(asdict(failure)).decode().replace("\\u0000", "\\ufffd")
        await self._run("stop_version", {**_owned(claim), "failure": told})

    async def rows(self, version_id: int, keys: Sequence[str]) -> Mapping[str, Row]:
        """See ProjectionStore."""
        if not keys:
            return {}
        asked = {"version_id": version_id, "keys": orjson.dumps(keys).decode()}
        found = await self._all("read_rows", asked)
        return {row[0]: _row(row) for row in found}

    async def write(self, claim: VersionClaim, batch: RowBatch) -> VersionClaim:
        """See ProjectionStore."""
        async with self._database.transaction() as connection:
            await self._renew(connection, claim)
            await _advance(connection, claim, batch.next)
            if batch.rows:
                await connection.execute(
                    QUERIES["write_rows"],
                    {"version_id": claim.version_id, "rows": _document(batch.rows)},
                )
        return replace(claim, next={**claim.next, **batch.next})

    async def renew(self, claim: VersionClaim) -> None:
        """See ProjectionStore."""
        async with self._database.transaction() as connection:
            await self._renew(connection, claim)

    async def live_row(self, app: str, name: str, key: str) -> LiveRow | None:
        """See ProjectionStore."""
        rows = await self._all("read_live_row", {"app": app, "name": name, "key": key})
        return LiveRow(_row(rows[0]), rows[0][4]) if rows else None

    async def compare(self, before: int, after: int, up_to: UpTo) -> Parity:
        """See ProjectionStore."""
        held = {"version_id": before}
        async with self._database.transaction() as connection:
            await connection.execute(QUERIES["wait_without_bound"])
            await connection.execute(QUERIES["lock_version"], held)
            found = await connection.execute(QUERIES["version_checkpoints"], held)
            await up_to({row[1]: row[2] for row in await found.fetchall()})
            compared = await connection.execute(
                QUERIES["compare_versions"],
                {"before": before, "after": after, "limit": SHOWN_DIFFERENCES},
            )
            rows = await compared.fetchall()
            counted = await connection.execute(QUERIES["count_rows"], {"version_id": after})
            count = await counted.fetchone() or (0,)
        return Parity(
            rows=count[0],
            differences=rows[0][3] if rows else 0,
            shown=[Difference(*row[:3]) for row in rows],
        )

    async def switch(
        self, known: KnownProjection, version: int, claim: VersionClaim | None = None
    ) -> KnownProjection:
        """See ProjectionStore."""
        at = {"app": known.app, "name": known.name}
        async with self._database.transaction() as connection:
            # The pointer before the version, as everybody does who removes one.
            found = await (await connection.execute(QUERIES["lock_projection"], at)).fetchone()
            if found is None or found[0] != known.live:
                raise LiveMoved(known.name)
            if claim is not None:
                await self._renew(connection, claim)
            moved = await connection.execute(
                QUERIES["switch_version"], {**at, "version": version, "expected": known.live}
            )
            if await moved.fetchone() is None:
                raise VersionGone(known.name, version)
        return replace(known, live=version, previous=known.live)

    async def _renew(self, connection: Connection, claim: VersionClaim) -> None:
        renewed = await connection.execute(
            QUERIES["renew_lease"], {**_owned(claim), "lease_s": self._lease_s}
        )
        if await renewed.fetchone() is None:
            raise TakenOver(claim.version_id)

    async def _run(self, query: str, values: Mapping[str, Any]) -> None:
        async with self._database.transaction() as connection:
            await connection.execute(QUERIES[query], values)

    async def _all(self, query: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        async with self._database.transaction() as connection:
            found = await connection.execute(QUERIES[query], values)
            return await found.fetchall()


async def _create(connection: Connection, app: str, name: str, revision: int) -> Version:
    made = await connection.execute(
        QUERIES["create_version"], {"app": app, "name": name, "revision": revision}
    )
    version_id, version, _ = await made.fetchone() or (0, 0, 0)
    return Version(version_id=version_id, version=version, revision=revision)


async def _advance(
    connection: Connection, claim: VersionClaim, following: Mapping[int, int]
) -> None:
    partitions = sorted(following)
    moved = await connection.execute(
        QUERIES["advance_checkpoints"],
        {
            "version_id": claim.version_id,
            "topic_id": claim.topic_id,
            "partitions": partitions,
            "expected": [claim.next[partition] for partition in partitions],
            "next": [following[partition] for partition in partitions],
        },
    )
    if len(await moved.fetchall()) != len(partitions):
        raise TakenOver(claim.version_id)


def _document(rows: Sequence[Row]) -> str:
    """Rows as a JSON list; their states are JSON already."""
    lines = [
        b'{"key":%b,"state":%b,"events":%d,"coverage":%b}'
        % (orjson.dumps(row.key), row.state, row.events, row.encoded_coverage())
        for row in rows
    ]
    return (b"[" + b",".join(lines) + b"]").decode()


def _owned(claim: VersionClaim) -> dict[str, Any]:
    return {"version_id": claim.version_id, "epoch": claim.epoch}


def _row(found: Sequence[Any]) -> Row:
    key, state, events, coverage = found[:4]
    return Row(key=key, state=state.encode(), events=events, coverage=orjson.loads(coverage))
