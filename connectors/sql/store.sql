-- Queries of the audit and the restore, in the form of queries.sql.

-- begin_audit --
-- Lets everything that follows in the transaction see one moment, and change nothing.
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY

-- sink_progress --
-- How far the sink has come in each partition.
SELECT partition, next FROM sink_offsets WHERE topic_id = %(topic_id)s

-- outbox_exists --
-- Whether this database has an outbox.
SELECT to_regclass('outbox') IS NOT NULL

-- outbox_size --
-- How many events wait for the relay; they exist in this database alone.
SELECT count(*) FROM outbox

-- about_how_many_events --
-- The planner's guess of the number of stored events; -1 when nobody has counted yet.
SELECT reltuples::bigint FROM pg_class WHERE oid = 'events'::regclass

-- stored_fingerprints --
-- Every event with every position: a fingerprint of its bytes, its place in its aggregate.
SELECT
    coalesce(events.event_id, positions.event_id),
    encode(substr(sha256(events.framed), 1, 8), 'hex'),
    CASE WHEN events.aggregate_version IS NOT NULL
        THEN events.aggregate_type || '/' || events.aggregate_id
    END,
    events.aggregate_version,
    positions.partition,
    positions."offset"
FROM events
FULL JOIN (
    SELECT event_id, partition, "offset" FROM event_positions WHERE topic_id = %(topic_id)s
) AS positions USING (event_id)

-- sampled_events --
-- The whole events of about so many blocks of the table, chosen anew each time.
SELECT
    event_id, type, category, priority, schema_version, schema_id, "timestamp", source,
    correlation_id, causation_id, aggregate_type, aggregate_id, aggregate_version, user_id,
    trace_id, framed, NULL, command_id
FROM events
TABLESAMPLE SYSTEM (
    least(100.0, 100.0 * %(blocks)s * current_setting('block_size')::integer
        / greatest(1, pg_relation_size('events')))
)

-- outbox_ids --
-- The ids of the events that wait for the relay.
SELECT id FROM outbox

-- ensure_staging --
-- Where rows are copied to before repeats are dropped; private to a connection, emptied on commit.
CREATE TEMPORARY TABLE IF NOT EXISTS staged_events (
    partition integer, "offset" bigint, event_id text, type text, category text, priority smallint,
    schema_version text, schema_id integer, "timestamp" timestamptz, source text,
    correlation_id text, causation_id text, aggregate_type text, aggregate_id text,
    aggregate_version bigint, user_id text, trace_id text, framed bytea, data jsonb,
    command_id text, ordinal integer GENERATED ALWAYS AS IDENTITY
) ON COMMIT DELETE ROWS

-- copy_staged_events --
-- The stream of rows into the staging table.
COPY staged_events (
    partition, "offset", event_id, type, category, priority, schema_version, schema_id, "timestamp",
    source, correlation_id, causation_id, aggregate_type, aggregate_id, aggregate_version, user_id,
    trace_id, framed, data, command_id
) FROM STDIN (FORMAT BINARY)

-- insert_staged_events --
-- Stores what is new, in order; events that are stored already are left alone.
INSERT INTO events (
    event_id, type, category, priority, schema_version, schema_id, "timestamp", source,
    correlation_id, causation_id, aggregate_type, aggregate_id, aggregate_version, user_id,
    trace_id, framed, data, command_id
)
SELECT
    event_id, type, category, priority, schema_version, schema_id, "timestamp", source,
    correlation_id, causation_id, aggregate_type, aggregate_id, aggregate_version, user_id,
    trace_id, framed, data, command_id
FROM staged_events
ORDER BY ordinal
ON CONFLICT DO NOTHING

-- staged_but_not_stored --
-- Staged events whose version of their aggregate belongs to another event.
SELECT DISTINCT staged.event_id
FROM staged_events AS staged
WHERE NOT EXISTS (SELECT FROM events WHERE events.event_id = staged.event_id)

-- insert_staged_positions --
-- Where the staged events were read; positions that are known already are left alone.
INSERT INTO event_positions (topic_id, partition, "offset", event_id)
SELECT %(topic_id)s, partition, "offset", event_id
FROM staged_events
ON CONFLICT DO NOTHING

-- copy_events --
-- The stream of rows straight into the table; one that is known already refuses them all.
COPY events (
    event_id, type, category, priority, schema_version, schema_id, "timestamp", source,
    correlation_id, causation_id, aggregate_type, aggregate_id, aggregate_version, user_id,
    trace_id, framed, data, command_id
) FROM STDIN (FORMAT BINARY)

-- copy_event_positions --
-- Where events were read, straight into the table; one that is known already refuses them all.
COPY event_positions (topic_id, partition, "offset", event_id) FROM STDIN (FORMAT BINARY)

-- claim_restore --
-- Begins a restore, or takes over one that is not over: what is still to do in each partition.
INSERT INTO store_restores AS known (topic_id, partition, next, until, epoch)
SELECT %(topic_id)s, wanted.partition, 0, wanted.until, 1
FROM unnest(%(partitions)s::integer[], %(ends)s::bigint[]) AS wanted (partition, until)
ORDER BY wanted.partition
ON CONFLICT (topic_id, partition) DO UPDATE SET epoch = known.epoch + 1
RETURNING partition, next, until, epoch

-- advance_restore --
-- Compare-and-set of how far a restore has come, as for the sink.
UPDATE store_restores AS known
SET next = advance.next
FROM unnest(
    %(partitions)s::integer[], %(expected)s::bigint[], %(next)s::bigint[], %(epochs)s::bigint[]
) AS advance (partition, expected, next, epoch)
WHERE known.topic_id = %(topic_id)s
    AND known.partition = advance.partition
    AND known.next = advance.expected
    AND known.epoch = advance.epoch
RETURNING known.partition

-- raise_sink_offsets --
-- Lets the sink go on behind a restore; who works in front of that is refused and claims anew.
INSERT INTO sink_offsets AS known (topic_id, partition, next, epoch)
SELECT topic_id, partition, until, 1 FROM store_restores WHERE topic_id = %(topic_id)s
ON CONFLICT (topic_id, partition) DO UPDATE
SET next = excluded.next, epoch = known.epoch + 1
WHERE known.next < excluded.next

-- end_restore --
-- The restore is over.
DELETE FROM store_restores WHERE topic_id = %(topic_id)s
