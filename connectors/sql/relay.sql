-- Named queries of the outbox relay: a line `-- name --`, one line of purpose, the statement.

-- shard_holder --
-- The session that has the lock of a shard, and whether its relay has been silent for too long.
SELECT
    held.pid,
    coalesce(
        clock_timestamp() - known.renewed_at > make_interval(secs => %(silent_s)s::double precision),
        false
    )
FROM pg_locks AS held
LEFT JOIN outbox_shards AS known ON known.shard = %(shard)s::integer
WHERE held.locktype = 'advisory'
    AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND held.classid = 7821406
    AND held.objid = %(shard)s::integer
    AND held.objsubid = 2
    AND held.granted

-- end_session --
-- Ends the session of a relay that does not answer, which frees its lock.
SELECT pg_terminate_backend(%(pid)s)

-- lock_shard --
-- Takes the lock of a shard for this session, if it is free.
SELECT pg_try_advisory_lock(7821406, %(shard)s::integer)

-- claim_shard --
-- Makes this session's relay the owner: its epoch is above every earlier owner's.
INSERT INTO outbox_shards AS known (shard, epoch, renewed_at)
VALUES (%(shard)s, 1, clock_timestamp())
ON CONFLICT (shard) DO UPDATE SET epoch = known.epoch + 1, renewed_at = clock_timestamp()
RETURNING epoch

-- renew_shard --
-- Says that the owner is alive, if it still is the owner.
UPDATE outbox_shards SET renewed_at = clock_timestamp()
WHERE shard = %(shard)s AND epoch = %(epoch)s

-- unsent --
-- The first rows of a shard in the order of their positions, up to a number of rows and bytes.
SELECT position, id, type, payload, topic, key, traceparent
FROM (
    SELECT first.*, sum(octet_length(payload)) OVER (ORDER BY position) AS bytes
    FROM (
        SELECT position, id, type, payload, topic, key, traceparent
        FROM outbox
        WHERE shard = %(shard)s
        ORDER BY position
        LIMIT %(rows)s
    ) AS first
) AS counted
WHERE bytes - octet_length(payload) < %(bytes)s
ORDER BY position

-- remove_sent --
-- Deletes rows that Kafka has, if the epoch still is the owner's; says whether it is.
WITH owner AS MATERIALIZED (
    SELECT shard FROM outbox_shards WHERE shard = %(shard)s AND epoch = %(epoch)s FOR SHARE
), removed AS (
    DELETE FROM outbox USING owner
    WHERE outbox.shard = owner.shard AND outbox.position = ANY(%(positions)s::bigint[])
)
SELECT EXISTS (SELECT FROM owner)

-- outbox_holders --
-- Seconds of the oldest transaction that has locked the outbox, and of the oldest of the server.
WITH here AS (SELECT oid FROM pg_database WHERE datname = current_database())
SELECT
    coalesce(max(extract(epoch FROM clock_timestamp() - began)) FILTER (WHERE holds), 0)::float8,
    coalesce(max(extract(epoch FROM clock_timestamp() - began)), 0)::float8
FROM (
    SELECT
        activity.xact_start AS began,
        activity.backend_xid IS NOT NULL OR activity.backend_xmin IS NOT NULL AS works,
        EXISTS (
            SELECT FROM pg_locks AS held
            WHERE held.pid = activity.pid
                AND held.relation = 'outbox'::regclass
                AND held.database = here.oid
                AND held.granted
                AND held.mode NOT IN (
                    'AccessShareLock', 'RowShareLock', 'ShareUpdateExclusiveLock'
                )
        ) AS holds
    FROM pg_stat_activity AS activity, here
    WHERE activity.pid <> pg_backend_pid()
        AND activity.backend_type = 'client backend'
        AND activity.xact_start IS NOT NULL
    UNION ALL
    SELECT
        prepared.prepared,
        true,
        EXISTS (
            SELECT FROM pg_locks AS held
            JOIN pg_locks AS own USING (virtualtransaction)
            WHERE own.transactionid = prepared.transaction
                AND held.relation = 'outbox'::regclass
                AND held.database = here.oid
        )
    FROM pg_prepared_xacts AS prepared, here
) AS transactions
WHERE works OR holds

-- bound_lock_wait --
-- Keeps the questions of a watch from waiting behind a lock on the table that they are about.
SET LOCAL lock_timeout = '1s'

-- outbox_age --
-- Seconds since the oldest row was appended, and how many rows wait, counted up to 10,000.
SELECT
    coalesce(extract(epoch FROM clock_timestamp() - min(oldest.appended_at)), 0)::float8,
    (SELECT count(*) FROM (SELECT FROM outbox LIMIT 10000) AS counted)
FROM generate_series(0, %(shards)s::integer - 1) AS shards (shard)
LEFT JOIN LATERAL (
    SELECT appended_at FROM outbox WHERE outbox.shard = shards.shard ORDER BY position LIMIT 1
) AS oldest ON true
