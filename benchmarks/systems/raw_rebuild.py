"""One query over the whole history, the same decode and fold in memory, one INSERT at the end."""

from __future__ import annotations

import json

import psycopg
from psycopg.types.json import Jsonb

from benchmarks.contract import Meter, RunConfig
from benchmarks.folding import Stopwatch, counting
from benchmarks.stored_history import TOPIC_ID
from schemas.catalog import Catalog
from schemas.codec import Codec
from streams.projection import State
from streams.runtime.collecting import collect_garbage_less_often

FETCHED_AT_ONCE = 8_000

HISTORY = """
    SELECT framed
    FROM event_positions JOIN events USING (event_id)
    WHERE topic_id = %s
    ORDER BY partition, "offset"
"""


def rebuild(dsn: str, meter: Meter) -> None:
    """Fold everything once and print what it took."""
    projection, codec = counting(meter), Codec(Catalog.load())
    fold = projection.fold
    watch = Stopwatch()
    states: dict[str, State] = {}
    with psycopg.connect(dsn) as connection:
        with connection.cursor("history", binary=True) as cursor:
            cursor.itersize = FETCHED_AT_ONCE
            for (framed,) in cursor.execute(HISTORY, (TOPIC_ID,)):
                event = codec.view(framed)
                key = event.key
                state = states.get(key)
                states[key] = fold({} if state is None else state, event)
        connection.execute("CREATE TEMPORARY TABLE folded (key text PRIMARY KEY, state jsonb)")
        rows = Jsonb(list(states.items()), dumps=json.dumps)
        connection.execute(
            "INSERT INTO folded SELECT it ->> 0, it -> 1 FROM jsonb_array_elements(%s) AS it",
            (rows,),
        )
    watch.measurement(meter).print()


def main() -> None:
    """Measure and print."""
    config = RunConfig.from_arguments()
    collect_garbage_less_often()
    rebuild(config.options["dsn"], Meter(config.events, 0))


if __name__ == "__main__":
    main()
