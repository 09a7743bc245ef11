-- Queries of histories: aggregates by version, streams in order of time, causes, snapshots, catch-up.

-- keep_order --
-- A page follows an index: all that lies behind its begin must never be collected and sorted for it.
SELECT
    set_config('enable_bitmapscan', 'off', true),
    set_config('enable_sort', 'off', true)

-- events_by_version --
-- The next versions of one aggregate, in order.
SELECT framed, aggregate_version
FROM (
    SELECT
        framed, aggregate_version,
        sum(octet_length(framed)) OVER (ORDER BY aggregate_version ROWS UNBOUNDED PRECEDING)
            - octet_length(framed) AS bytes_before
    FROM events
    WHERE aggregate_type = %(aggregate_type)s
        AND aggregate_id = %(aggregate_id)s
        AND aggregate_version BETWEEN %(from_version)s AND %(target_version)s
    ORDER BY aggregate_version
    LIMIT %(rows)s
) AS page
WHERE bytes_before < %(bytes)s

-- events_in_time --
-- The next events in order of time, without an upper bound: see `stream`.
SELECT framed, "timestamp", sequence
FROM (
    SELECT
        framed, "timestamp", sequence,
        sum(octet_length(framed)) OVER (ORDER BY "timestamp", sequence ROWS UNBOUNDED PRECEDING)
            - octet_length(framed) AS bytes_before
    FROM events
    WHERE ("timestamp", sequence) > (%(after_time)s, %(after_sequence)s)
    ORDER BY "timestamp", sequence
    LIMIT %(rows)s
) AS page
WHERE bytes_before < %(bytes)s

-- events_of_type_in_time --
-- The next events of one type in order of time; those of the types behind it follow.
SELECT framed, "timestamp", sequence, type
FROM (
    SELECT
        framed, "timestamp", sequence, type,
        sum(octet_length(framed)) OVER (
            ORDER BY type, "timestamp", sequence ROWS UNBOUNDED PRECEDING
        ) - octet_length(framed) AS bytes_before
    FROM events
    WHERE (type, "timestamp", sequence) > (%(first_type)s, %(after_time)s, %(after_sequence)s)
    ORDER BY type, "timestamp", sequence
    LIMIT %(rows)s
) AS page
WHERE bytes_before < %(bytes)s

-- events_of_types_in_time --
-- The next events of a range of types in order of time; IS NOT TRUE looks unselective: see `stream`.
SELECT framed, "timestamp", sequence
FROM (
    SELECT
        framed, "timestamp", sequence,
        sum(octet_length(framed)) OVER (ORDER BY "timestamp", sequence ROWS UNBOUNDED PRECEDING)
            - octet_length(framed) AS bytes_before
    FROM events
    WHERE ("timestamp", sequence) > (%(after_time)s, %(after_sequence)s)
        AND (type < %(first_type)s OR type > %(last_type)s) IS NOT TRUE
    ORDER BY "timestamp", sequence
    LIMIT %(rows)s
) AS page
WHERE bytes_before < %(bytes)s

-- events_by_causation --
-- The causes of an event, the event and what it caused; who caused himself is not followed again.
WITH RECURSIVE causes AS (
    SELECT event_id, causation_id, 0 AS height
    FROM events
    WHERE event_id = %(event_id)s
    UNION ALL
    SELECT cause.event_id, cause.causation_id, causes.height + 1
    FROM causes
    JOIN events AS cause ON cause.event_id = causes.causation_id
) CYCLE event_id SET is_repeated USING passed,
effects AS (
    SELECT %(event_id)s::text COLLATE "C" AS event_id, 0 AS depth
    UNION ALL
    SELECT effect.event_id, effects.depth + 1
    FROM effects
    JOIN events AS effect ON effect.causation_id = effects.event_id
) CYCLE event_id SET is_repeated USING passed,
tree AS (
    SELECT event_id, min(level) AS level
    FROM (
        SELECT event_id, -height AS level FROM causes WHERE NOT is_repeated
        UNION ALL
        SELECT event_id, depth AS level FROM effects WHERE NOT is_repeated
    ) AS reached
    GROUP BY event_id
)
SELECT events.framed
FROM tree
JOIN events USING (event_id)
ORDER BY tree.level, events."timestamp", events.sequence

-- snapshot_of_aggregate --
-- The snapshot of one schema version, when it is not newer than the version asked for.
SELECT version, state
FROM snapshots
WHERE aggregate_type = %(aggregate_type)s
    AND aggregate_id = %(aggregate_id)s
    AND schema_version = %(schema_version)s
    AND version <= %(target_version)s

-- save_snapshot --
-- Keeps a snapshot unless a newer one of its schema version is there.
INSERT INTO snapshots AS known (aggregate_type, aggregate_id, schema_version, version, state)
VALUES (
    %(aggregate_type)s, %(aggregate_id)s, %(schema_version)s, %(version)s, %(state)s
)
ON CONFLICT (aggregate_type, aggregate_id, schema_version) DO UPDATE
SET version = excluded.version, state = excluded.state, taken_at = now()
WHERE known.version < excluded.version

-- drop_older_snapshots --
-- Removes what older code has left of an aggregate.
DELETE FROM snapshots
WHERE aggregate_type = %(aggregate_type)s
    AND aggregate_id = %(aggregate_id)s
    AND schema_version < %(schema_version)s

-- drop_snapshots --
-- Removes all snapshots of an aggregate.
DELETE FROM snapshots
WHERE aggregate_type = %(aggregate_type)s AND aggregate_id = %(aggregate_id)s

-- sink_position --
-- Up to where the sink has stored a partition: everything below is stored, or is no event.
SELECT next FROM sink_offsets WHERE topic_id = %(topic_id)s AND partition = %(partition)s

-- stored_records --
-- The next records of one partition, with the ids by which repeats are told.
SELECT "offset", event_id, framed
FROM (
    SELECT
        positions."offset", positions.event_id, events.framed,
        sum(octet_length(events.framed)) OVER (
            ORDER BY positions."offset" ROWS UNBOUNDED PRECEDING
        ) - octet_length(events.framed) AS bytes_before
    FROM event_positions AS positions
    JOIN events USING (event_id)
    WHERE positions.topic_id = %(topic_id)s
        AND positions.partition = %(partition)s
        AND positions."offset" >= %(offset)s
    ORDER BY positions."offset"
    LIMIT %(rows)s
) AS page
WHERE bytes_before < %(bytes)s

-- ids_before --
-- The ids of the last records before an offset, the latest first.
SELECT event_id
FROM event_positions
WHERE topic_id = %(topic_id)s
    AND partition = %(partition)s
    AND "offset" < %(offset)s
ORDER BY "offset" DESC
LIMIT %(limit)s

-- load_checkpoints --
-- Where a subscription goes on, by partition.
SELECT partition, next
FROM catch_up_checkpoints
WHERE subscription = %(subscription)s AND topic_id = %(topic_id)s

-- advance_checkpoint --
-- Compare-and-set of one checkpoint: one that is not where it was left is not returned.
INSERT INTO catch_up_checkpoints AS known (subscription, topic_id, partition, next)
SELECT %(subscription)s, %(topic_id)s, %(partition)s, %(next)s
WHERE %(expected)s = 0
    OR EXISTS (
        SELECT FROM catch_up_checkpoints AS left_at
        WHERE left_at.subscription = %(subscription)s
            AND left_at.topic_id = %(topic_id)s
            AND left_at.partition = %(partition)s
    )
ON CONFLICT (subscription, topic_id, partition) DO UPDATE
SET next = excluded.next
WHERE known.next = %(expected)s
RETURNING next
