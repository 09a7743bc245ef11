"""A bare COPY of the same bytes and columns straight into the same table; nothing else is done."""

from __future__ import annotations

import time
from typing import Any

import psycopg

from benchmarks.contract import Measurement, RunConfig, peak_memory
from benchmarks.stamps import Stamp, repositories_stamp
from benchmarks.stored_topic import AGGREGATES
from connectors.event_row import event_row
from connectors.postgres.event_rows import EVENT_TYPES, event_columns
from connectors.sql import QUERIES
from schemas.catalog import Catalog
from schemas.codec import Codec

ROWS = 4_000


def main() -> None:
    """Copy ready rows, transaction by transaction; making them is not in the time."""
    config = RunConfig.from_arguments()
    catalog = Catalog.load()
    codec, stamp = Codec(catalog), repositories_stamp(catalog)
    copied, seconds, cpu_seconds = 0, 0.0, 0.0
    with psycopg.connect(config.options["dsn"], autocommit=True) as connection:
        connection.execute("SET synchronous_commit = on")
        while seconds < config.seconds and copied + ROWS <= config.events:
            rows = _rows(codec, stamp, copied, with_json=config.options["json"])
            began, cpu = time.perf_counter(), time.process_time()
            with (
                connection.transaction(),
                connection.cursor() as cursor,
                cursor.copy(QUERIES["copy_events"]) as copy,
            ):
                copy.set_types(EVENT_TYPES)
                for row in rows:
                    copy.write_row(row)
            copied += ROWS
            if copied > config.warm_up:
                seconds += time.perf_counter() - began
                cpu_seconds += time.process_time() - cpu
    Measurement(
        events=copied - config.warm_up,
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        checksum=0,
        rss_bytes=peak_memory(),
        metrics={"stored": float(copied)},
    ).print()


def _rows(codec: Codec, stamp: Stamp, first: int, *, with_json: bool) -> list[tuple[Any, ...]]:
    values = [stamp.record(at, at % AGGREGATES).value for at in range(first, first + ROWS)]
    return [
        event_columns(event_row(codec.view(value), value, with_json=with_json)) for value in values
    ]


if __name__ == "__main__":
    main()
