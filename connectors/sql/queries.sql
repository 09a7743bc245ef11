-- Named queries: a line `-- name --`, one line of purpose, the statement.

-- ensure_migrations_table --
-- Keeps the names and checksums of applied migrations.
CREATE TABLE IF NOT EXISTS applied_migrations (
    name text PRIMARY KEY,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)

-- lock_migrations --
-- Lets one process migrate at a time; released with the transaction.
SELECT pg_advisory_xact_lock(7821406613)

-- list_migrations --
-- What has been applied, with its checksum then.
SELECT name, checksum FROM applied_migrations ORDER BY name

-- record_migration --
-- Marks a migration as applied.
INSERT INTO applied_migrations (name, checksum) VALUES (%(name)s, %(checksum)s)

-- known_topic_ids --
-- The Kafka topics that have filled this database.
SELECT DISTINCT topic_id FROM sink_offsets

-- claim_partitions --
-- Takes partitions over: their next offset, and an epoch above every earlier owner's.
INSERT INTO sink_offsets AS known (topic_id, partition, next, epoch)
SELECT %(topic_id)s, claimed.partition, 0, 1
FROM unnest(%(partitions)s::integer[]) AS claimed (partition)
ORDER BY claimed.partition
ON CONFLICT (topic_id, partition) DO UPDATE SET epoch = known.epoch + 1
RETURNING partition, next, epoch

-- advance_offsets --
-- Compare-and-set of the next offsets: a partition that moved or changed its owner is not returned.
UPDATE sink_offsets AS known
SET next = advance.next
FROM unnest(
    %(partitions)s::integer[], %(expected)s::bigint[], %(next)s::bigint[], %(epochs)s::bigint[]
) AS advance (partition, expected, next, epoch)
WHERE known.topic_id = %(topic_id)s
    AND known.partition = advance.partition
    AND known.next = advance.expected
    AND known.epoch = advance.epoch
RETURNING known.partition

-- event_by_id --
-- One event.
SELECT framed FROM events WHERE event_id = %(event_id)s

-- events_by_aggregate --
-- The history of an aggregate, in order.
SELECT framed
FROM events
WHERE aggregate_id = %(aggregate_id)s
    AND (%(aggregate_type)s::text IS NULL OR aggregate_type = %(aggregate_type)s)
    AND (
        %(from_version)s::bigint IS NULL
        OR aggregate_version IS NULL
        OR aggregate_version >= %(from_version)s
    )
    AND (
        %(target_version)s::bigint IS NULL
        OR aggregate_version IS NULL
        OR aggregate_version <= %(target_version)s
    )
ORDER BY aggregate_type, aggregate_version NULLS LAST, sequence

-- events_by_correlation --
-- Everything that belongs to one request, in order of time.
SELECT framed FROM events WHERE correlation_id = %(correlation_id)s ORDER BY "timestamp", sequence

-- ids_by_correlation --
-- The ids of everything that belongs to one request.
SELECT event_id FROM events WHERE correlation_id = %(correlation_id)s

-- recent_events --
-- The newest events of a range of types, newest first.
SELECT framed
FROM events
WHERE (%(first_type)s::text IS NULL OR type >= %(first_type)s)
    AND (%(last_type)s::text IS NULL OR type <= %(last_type)s)
    AND (%(since)s::timestamptz IS NULL OR "timestamp" >= %(since)s)
ORDER BY "timestamp" DESC, sequence DESC
LIMIT %(limit)s

-- events_from_cursor --
-- The next events of one partition, with the offset of each.
SELECT positions."offset", events.framed
FROM event_positions AS positions
JOIN events USING (event_id)
WHERE positions.topic_id = %(topic_id)s
    AND positions.partition = %(partition)s
    AND positions."offset" >= %(offset)s
ORDER BY positions."offset"
LIMIT %(limit)s
