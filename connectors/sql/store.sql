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

-- copy_stored_fingerprints --
-- Every stored event: its id, a fingerprint of its bytes, and its place in its aggregate.
COPY (
    SELECT
        event_id,
        encode(substr(sha256(framed), 1, 8), 'hex'),
        CASE WHEN aggregate_version IS NULL THEN NULL
            ELSE aggregate_type || '/' || aggregate_id
        END,
        aggregate_version
    FROM events
) TO STDOUT

-- copy_positions --
-- Every position of every stored event.
COPY (SELECT topic_id, event_id, partition, "offset" FROM event_positions) TO STDOUT

-- copy_outbox_ids --
-- The ids of the events that wait for the relay.
COPY (SELECT id FROM outbox) TO STDOUT
