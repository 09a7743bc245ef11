-- Named queries of appends: a line `-- name --`, one line of purpose, the statement.

-- append_one --
-- One event and its way out as the next version, or nothing when something about it is not so.
WITH stored AS (
    INSERT INTO events (
        event_id, type, category, priority, schema_version, schema_id, "timestamp", source,
        correlation_id, causation_id, aggregate_type, aggregate_id, aggregate_version, user_id,
        trace_id, framed, data, command_id
    )
    SELECT
        %(event_id)s, %(type)s, %(category)s, %(priority)s, %(schema_version)s, %(schema_id)s,
        %(timestamp)s, %(source)s, %(correlation_id)s, %(causation_id)s, %(aggregate_type)s,
        %(aggregate_id)s, %(aggregate_version)s, %(user_id)s, %(trace_id)s, %(framed)s,
        %(data)s::jsonb, %(command_id)s
    WHERE %(version)s::bigint = coalesce((
            SELECT aggregate_version FROM events
            WHERE aggregate_type = %(aggregate_type)s
                AND aggregate_id = %(aggregate_id)s
                AND aggregate_version IS NOT NULL
            ORDER BY aggregate_version DESC
            LIMIT 1
        ), 0)
        AND (
            %(command_id)s::text IS NULL
            OR NOT EXISTS (
                SELECT FROM events
                WHERE command_id = %(command_id)s
                    AND aggregate_id = %(aggregate_id)s
                    AND aggregate_type = %(aggregate_type)s
            )
        )
        AND EXISTS (SELECT FROM writer_schemas WHERE id = %(schema_id)s)
        AND NOT EXISTS (SELECT FROM store_restores)
    RETURNING 1
)
INSERT INTO outbox (
    shard, id, aggregatetype, aggregateid, type, payload, topic, key, traceparent
)
SELECT
    %(shard)s, %(event_id)s, %(aggregate_type)s, %(aggregate_id)s, %(type)s, %(framed)s,
    %(topic)s, %(key)s, %(traceparent)s
FROM stored

-- append_many --
-- As append_one, for several events of one aggregate, which come as arrays, one for each column.
WITH new AS MATERIALIZED (
    SELECT *, json::jsonb AS data
    FROM unnest(
        %(event_id)b::text[], %(type)b::text[], %(schema_version)b::text[],
        %(schema_id)b::integer[], %(timestamp)b::timestamptz[], %(source)b::text[],
        %(correlation_id)b::text[], %(causation_id)b::text[], %(aggregate_version)b::bigint[],
        %(user_id)b::text[], %(trace_id)b::text[], %(framed)b::bytea[], %(data)b::text[],
        %(traceparent)b::text[]
    ) AS sent (
        event_id, type, schema_version, schema_id, "timestamp", source, correlation_id,
        causation_id, aggregate_version, user_id, trace_id, framed, json, traceparent
    )
), stored AS (
    INSERT INTO events (
        event_id, type, category, priority, schema_version, schema_id, "timestamp", source,
        correlation_id, causation_id, aggregate_type, aggregate_id, aggregate_version, user_id,
        trace_id, framed, data, command_id
    )
    SELECT
        event_id, type, %(category)s, %(priority)s, schema_version, schema_id, "timestamp", source,
        correlation_id, causation_id, %(aggregate_type)s, %(aggregate_id)s, aggregate_version,
        user_id, trace_id, framed, data, %(command_id)s
    FROM new
    WHERE %(version)s::bigint = coalesce((
            SELECT aggregate_version FROM events
            WHERE aggregate_type = %(aggregate_type)s
                AND aggregate_id = %(aggregate_id)s
                AND aggregate_version IS NOT NULL
            ORDER BY aggregate_version DESC
            LIMIT 1
        ), 0)
        AND (
            %(command_id)s::text IS NULL
            OR NOT EXISTS (
                SELECT FROM events
                WHERE command_id = %(command_id)s
                    AND aggregate_id = %(aggregate_id)s
                    AND aggregate_type = %(aggregate_type)s
            )
        )
        AND NOT EXISTS (
            SELECT FROM new
            WHERE NOT EXISTS (SELECT FROM writer_schemas WHERE id = new.schema_id)
        )
        AND NOT EXISTS (SELECT FROM store_restores)
    ORDER BY aggregate_version
    RETURNING 1
)
INSERT INTO outbox (
    shard, id, aggregatetype, aggregateid, type, payload, topic, key, traceparent
)
SELECT
    %(shard)s, event_id, %(aggregate_type)s, %(aggregate_id)s, type, framed, %(topic)s, %(key)s,
    traceparent
FROM new
WHERE EXISTS (SELECT FROM stored)
ORDER BY aggregate_version

-- state_for_append --
-- What decides about an append: version, what the command did, ids taken, schemas unknown, restores.
SELECT
    coalesce((
        SELECT aggregate_version FROM events
        WHERE aggregate_type = %(aggregate_type)s
            AND aggregate_id = %(aggregate_id)s
            AND aggregate_version IS NOT NULL
        ORDER BY aggregate_version DESC
        LIMIT 1
    ), 0),
    of_command.first,
    of_command.last,
    ARRAY(SELECT event_id FROM events WHERE event_id = ANY(%(event_ids)s)),
    ARRAY(
        SELECT wanted.id FROM unnest(%(schema_ids)s::integer[]) AS wanted (id)
        WHERE NOT EXISTS (SELECT FROM writer_schemas WHERE writer_schemas.id = wanted.id)
    ),
    EXISTS (SELECT FROM store_restores)
FROM (
    SELECT min(aggregate_version) AS first, max(aggregate_version) AS last
    FROM events
    WHERE command_id = %(command_id)s
        AND aggregate_id = %(aggregate_id)s
        AND aggregate_type = %(aggregate_type)s
) AS of_command

-- queue_for_aggregate --
-- Waits until no other transaction that queues for the aggregate is open.
SELECT pg_advisory_xact_lock(hashtextextended(%(key)s, 7821406613))

-- events_of_command --
-- What a command brought about, in order; nothing when it was not carried out.
SELECT framed FROM events
WHERE command_id = %(command_id)s
    AND aggregate_id = %(aggregate_id)s
    AND aggregate_type = %(aggregate_type)s
ORDER BY aggregate_version

-- events_between_versions --
-- What a command brought about, in order.
SELECT framed FROM events
WHERE aggregate_type = %(aggregate_type)s
    AND aggregate_id = %(aggregate_id)s
    AND aggregate_version BETWEEN %(first)s AND %(last)s
ORDER BY aggregate_version

-- keep_writer_schema --
-- Keeps a schema before the first event that is written with it.
INSERT INTO writer_schemas (id, composed) VALUES (%(id)s, %(composed)s) ON CONFLICT DO NOTHING

-- writer_schema --
-- One kept schema.
SELECT composed FROM writer_schemas WHERE id = %(id)s

-- events_of_command --
-- What a command has brought about, in order.
SELECT framed FROM events
WHERE command_id = %(command_id)s
    AND aggregate_id = %(aggregate_id)s
    AND aggregate_type = %(aggregate_type)s
ORDER BY aggregate_version
